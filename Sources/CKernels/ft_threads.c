// The one thread pool of the process.
//
// A job is published as a ticket: generation in the upper half, next task in the lower half. A thread claims a task by
// incrementing the ticket with compare-and-swap, which fails once the generation has moved on; so a late worker can
// never run a task of a finished job, and the caller waits for claimed tasks only, not for workers to wake up.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CKernels.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 256 };
/// Lower half of a ticket when no task may be claimed.
#define CLOSED UINT32_MAX
/// How long an idle thread looks for work before it sleeps.
#define SPIN_NANOSECONDS 40000

static struct {
    /// Held by the thread whose job is running.
    pthread_mutex_t owner;

    /// Guards the two conditions.
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t done;

    _Atomic uint64_t ticket;
    // The job. Written between closing one ticket and publishing the next.
    _Atomic(ft_task) task;
    _Atomic(void *) context;
    _Atomic uint32_t task_count;
    _Atomic int threads;

    _Atomic uint32_t finished;
    _Atomic int sleepers;
    _Atomic int owner_sleeps;

    /// Workers started; written under `owner`.
    int workers;
} pool = {
    .owner = PTHREAD_MUTEX_INITIALIZER,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .done = PTHREAD_COND_INITIALIZER,
    .ticket = CLOSED,
};

static _Atomic int configured_threads = 0;
static _Thread_local bool inside_task = false;

static int available_cpus(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : (int)online;
}

int ft_get_num_threads(void) {
    int count = atomic_load_explicit(&configured_threads, memory_order_relaxed);
    if (count < 1) {
        ft_set_num_threads(0);
        count = atomic_load_explicit(&configured_threads, memory_order_relaxed);
    }
    return count;
}

void ft_set_num_threads(int count) {
    if (count < 1) count = available_cpus();
    if (count > MAX_THREADS) count = MAX_THREADS;
    atomic_store_explicit(&configured_threads, count, memory_order_relaxed);
}

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// Claims and runs tasks until none is left. True if it ran any.
static bool run_tasks(int thread) {
    bool ran = false;
    uint64_t ticket = atomic_load_explicit(&pool.ticket, memory_order_acquire);
    for (;;) {
        uint32_t index = (uint32_t)ticket;
        if (index == CLOSED) return ran;
        // Acquire: having seen a field of a later job implies seeing the ticket closed, so that the exchange fails.
        uint32_t count = atomic_load_explicit(&pool.task_count, memory_order_acquire);
        ft_task task = atomic_load_explicit(&pool.task, memory_order_acquire);
        void *context = atomic_load_explicit(&pool.context, memory_order_acquire);
        int threads = atomic_load_explicit(&pool.threads, memory_order_acquire);
        if (index >= count || thread >= threads) {
            uint64_t again = atomic_load_explicit(&pool.ticket, memory_order_acquire);
            if (again == ticket) return ran;
            ticket = again;
            continue;
        }
        if (!atomic_compare_exchange_weak_explicit(
                &pool.ticket, &ticket, ticket + 1, memory_order_acq_rel, memory_order_acquire)) {
            continue;
        }
        task(context, (ptrdiff_t)index, thread);
        ran = true;
        if (atomic_fetch_add(&pool.finished, 1) + 1 == count && atomic_load(&pool.owner_sleeps)) {
            pthread_mutex_lock(&pool.mutex);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.mutex);
        }
        ticket = atomic_load_explicit(&pool.ticket, memory_order_acquire);
    }
}

static bool work_is_waiting(int thread) {
    uint32_t index = (uint32_t)atomic_load(&pool.ticket);
    return index != CLOSED && index < atomic_load(&pool.task_count) && thread < atomic_load(&pool.threads);
}

static void *worker_main(void *argument) {
    int thread = (int)(intptr_t)argument;
    inside_task = true;
    for (;;) {
        run_tasks(thread);
        int64_t start = now_nanoseconds();
        bool found = false;
        while (!found && now_nanoseconds() - start < SPIN_NANOSECONDS) {
            for (int i = 0; i < 16 && !found; i++) {
                relax();
                found = work_is_waiting(thread);
            }
        }
        if (found) continue;
        pthread_mutex_lock(&pool.mutex);
        atomic_fetch_add(&pool.sleepers, 1);
        while (!work_is_waiting(thread)) pthread_cond_wait(&pool.work, &pool.mutex);
        atomic_fetch_sub(&pool.sleepers, 1);
        pthread_mutex_unlock(&pool.mutex);
    }
    return NULL;
}

/// Starts workers up to `count`. With fewer than asked for the job still completes: the caller runs what is left.
static void start_workers(int count) {
    if (pool.workers >= count) return;
    // Signals belong to the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.workers < count) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_main, (void *)(intptr_t)(pool.workers + 1)) != 0) break;
        pthread_detach(thread);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void wait_until_finished(uint32_t count) {
    if (atomic_load_explicit(&pool.finished, memory_order_acquire) == count) return;
    int64_t start = now_nanoseconds();
    while (now_nanoseconds() - start < SPIN_NANOSECONDS) {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(&pool.finished, memory_order_acquire) == count) return;
            relax();
        }
    }
    pthread_mutex_lock(&pool.mutex);
    atomic_store(&pool.owner_sleeps, 1);
    while (atomic_load(&pool.finished) != count) pthread_cond_wait(&pool.done, &pool.mutex);
    atomic_store(&pool.owner_sleeps, 0);
    pthread_mutex_unlock(&pool.mutex);
}

static void run_inline(ptrdiff_t task_count, ft_task task, void *context) {
    for (ptrdiff_t index = 0; index < task_count; index++) task(context, index, 0);
}

void ft_parallel_for_threads(int threads, ptrdiff_t task_count, ft_task task, void *context) {
    if (task_count <= 0) return;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads <= 1 || task_count == 1 || inside_task || task_count >= (ptrdiff_t)CLOSED
        || pthread_mutex_trylock(&pool.owner) != 0) {
        run_inline(task_count, task, context);
        return;
    }
    inside_task = true;
    start_workers(threads - 1);
    uint64_t generation = (atomic_load(&pool.ticket) >> 32) + 1;
    atomic_store(&pool.finished, 0);
    atomic_store_explicit(&pool.task, task, memory_order_release);
    atomic_store_explicit(&pool.context, context, memory_order_release);
    atomic_store_explicit(&pool.task_count, (uint32_t)task_count, memory_order_release);
    atomic_store_explicit(&pool.threads, threads, memory_order_release);
    atomic_store(&pool.ticket, generation << 32);
    if (atomic_load(&pool.sleepers) > 0) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_broadcast(&pool.work);
        pthread_mutex_unlock(&pool.mutex);
    }
    run_tasks(0);
    wait_until_finished((uint32_t)task_count);
    atomic_store(&pool.ticket, generation << 32 | CLOSED);
    inside_task = false;
    pthread_mutex_unlock(&pool.owner);
}

void ft_parallel_for(ptrdiff_t task_count, ft_task task, void *context) {
    ft_parallel_for_threads(ft_get_num_threads(), task_count, task, context);
}

typedef struct {
    ptrdiff_t length;
    ptrdiff_t piece;
    ft_range range;
    void *context;
} range_job;

static void run_range(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const range_job *job = context;
    ptrdiff_t begin = task * job->piece;
    ptrdiff_t end = begin + job->piece < job->length ? begin + job->piece : job->length;
    job->range(job->context, begin, end);
}

void ft_parallel_range(ptrdiff_t length, ptrdiff_t grain, ft_range range, void *context) {
    if (length <= 0) return;
    if (grain < 1) grain = 1;
    ptrdiff_t most = (ptrdiff_t)ft_get_num_threads() * 4;
    ptrdiff_t pieces = length / grain;
    if (pieces > most) pieces = most;
    if (pieces <= 1) {
        range(context, 0, length);
        return;
    }
    // A multiple of 64 elements keeps pieces on separate cache lines and vector bodies whole.
    ptrdiff_t piece = ((length + pieces - 1) / pieces + 63) / 64 * 64;
    range_job job = {length, piece, range, context};
    ft_parallel_for((length + piece - 1) / piece, run_range, &job);
}
