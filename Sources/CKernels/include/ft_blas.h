#ifndef FT_BLAS_H
#define FT_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/// Loads OpenBLAS if that has not happened yet. NULL when its kernels are in use, otherwise why they are not;
/// products are then computed by slow portable loops.
///
/// Which kernels it runs is decided once: `OPENBLAS_CORETYPE` of the environment wins; else what the library detects,
/// unless the CPU has AVX-512 and the library, being older than the CPU, chose kernels without it.
/// Loading may set and unset environment variables, so call it before starting threads that read the environment.
const char *ft_blas_error(void);

/// The value that `OPENBLAS_CORETYPE` should get, NULL to leave the library's own choice.
/// `core_name`: what the library chose; `user_setting`: the variable's value or NULL.
const char *ft_blas_core_type(const char *core_name, bool cpu_has_avx512, const char *user_setting);

/// Which kernels run, for example `avx512 kernels, OpenBLAS 0.3.21 SkylakeX, 2 threads`.
/// Writes at most `size` bytes with the final zero.
void ft_cpu_description(char *text, size_t size);

/// C = alpha * op(A) * op(B) + beta * C, row-major. op(A): [m, k], op(B): [k, n], C: [m, n]; `ld*` are row strides of
/// the matrices as stored. With beta == 0, C is not read. Runs on the thread pool.
void ft_sgemm(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, float alpha, const float *a,
    ptrdiff_t lda, const float *b, ptrdiff_t ldb, float beta, float *c, ptrdiff_t ldc);
void ft_dgemm(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, double alpha, const double *a,
    ptrdiff_t lda, const double *b, ptrdiff_t ldb, double beta, double *c, ptrdiff_t ldc);

/// The same on the calling thread, for use inside a task.
void ft_sgemm_serial(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, float alpha, const float *a,
    ptrdiff_t lda, const float *b, ptrdiff_t ldb, float beta, float *c, ptrdiff_t ldc);
void ft_dgemm_serial(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, double alpha, const double *a,
    ptrdiff_t lda, const double *b, ptrdiff_t ldb, double beta, double *c, ptrdiff_t ldc);

#endif
