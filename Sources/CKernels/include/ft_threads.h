#ifndef FT_THREADS_H
#define FT_THREADS_H

#include <stddef.h>

/// Number of threads that kernels use, the calling one included.
int ft_get_num_threads(void);
/// Sets it; values below 1 mean one per CPU this process may run on. At most 256.
void ft_set_num_threads(int count);

/// One piece of work: `task` in [0, task_count), `thread` in [0, threads) to select scratch memory.
typedef void (*ft_task)(void *context, ptrdiff_t task, int thread);

/// Runs `task(context, 0...task_count-1, thread)` on the pool and returns when all are done.
///
/// Tasks are handed out in ascending order, to whichever thread is free: a task's result must depend on its index
/// alone, and tasks must not write the same memory. Calls from inside a task, and calls made while another thread is
/// using the pool, run inline on the caller with `thread == 0`, so scratch memory indexed by `thread` must belong to
/// this call, never to the process.
void ft_parallel_for(ptrdiff_t task_count, ft_task task, void *context);

/// As `ft_parallel_for`, on at most `threads` threads: what a kernel uses whose scratch memory was sized for `threads`.
void ft_parallel_for_threads(int threads, ptrdiff_t task_count, ft_task task, void *context);

/// Splits [0, length) into pieces of at least `grain` elements, at most 4 per thread, and runs
/// `range(context, begin, end)` on each. The pieces depend on `length`, `grain` and the thread count only.
typedef void (*ft_range)(void *context, ptrdiff_t begin, ptrdiff_t end);
void ft_parallel_range(ptrdiff_t length, ptrdiff_t grain, ft_range range, void *context);

#endif
