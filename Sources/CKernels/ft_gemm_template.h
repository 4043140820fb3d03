// Matrix products of one element type: T, NAME(x), GEMM, GEMM_SERIAL and BLAS_FUNCTION are defined by the includer.

/// C = beta * C + alpha * op(A) * op(B) in plain loops.
static void NAME(gemm_loops)(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, T alpha, const T *a, ptrdiff_t lda,
    const T *b, ptrdiff_t ldb, T beta, T *c, ptrdiff_t ldc) {
    for (ptrdiff_t i = 0; i < m; i++) {
        T *row = c + i * ldc;
        for (ptrdiff_t j = 0; j < n; j++) row[j] = beta == 0 ? 0 : beta * row[j];
        for (ptrdiff_t p = 0; p < k; p++) {
            T factor = alpha * (transpose_a ? a[p * lda + i] : a[i * lda + p]);
            if (transpose_b) {
                for (ptrdiff_t j = 0; j < n; j++) row[j] += factor * b[j * ldb + p];
            } else {
                for (ptrdiff_t j = 0; j < n; j++) row[j] += factor * b[p * ldb + j];
            }
        }
    }
}

void GEMM_SERIAL(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, T alpha, const T *a, ptrdiff_t lda,
    const T *b, ptrdiff_t ldb, T beta, T *c, ptrdiff_t ldc) {
    if (m <= 0 || n <= 0) return;
    bool fits = m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX;
    if (k <= 0 || !fits || ft_blas_error() != NULL) {
        NAME(gemm_loops)(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    BLAS_FUNCTION(
        ROW_MAJOR, transpose_a ? TRANSPOSE : NO_TRANSPOSE, transpose_b ? TRANSPOSE : NO_TRANSPOSE, (int)m, (int)n,
        (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

typedef struct {
    bool transpose_a, transpose_b, by_rows;
    ptrdiff_t m, n, k, lda, ldb, ldc, piece;
    T alpha, beta;
    const T *a, *b;
    T *c;
} NAME(gemm_job);

static void NAME(gemm_piece)(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const NAME(gemm_job) *job = context;
    ptrdiff_t begin = task * job->piece;
    ptrdiff_t length = (job->by_rows ? job->m : job->n) - begin;
    if (length > job->piece) length = job->piece;
    const T *a = job->a, *b = job->b;
    T *c = job->c;
    if (job->by_rows) {
        a += job->transpose_a ? begin : begin * job->lda;
        c += begin * job->ldc;
    } else {
        b += job->transpose_b ? begin * job->ldb : begin;
        c += begin;
    }
    GEMM_SERIAL(
        job->transpose_a, job->transpose_b, job->by_rows ? length : job->m, job->by_rows ? job->n : length, job->k,
        job->alpha, a, job->lda, b, job->ldb, job->beta, c, job->ldc);
}

void GEMM(
    bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, T alpha, const T *a, ptrdiff_t lda,
    const T *b, ptrdiff_t ldb, T beta, T *c, ptrdiff_t ldc) {
    int threads = ft_get_num_threads();
    // Pieces of a product with a vector may fall on both sides of the size where the library changes its kernel, and equal
    // columns would get different bits.
    if (threads == 1 || m == 1 || n == 1 || (double)m * (double)n * (double)k < PARALLEL_MULTIPLICATIONS) {
        GEMM_SERIAL(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    bool by_rows = m >= n;
    ptrdiff_t length = by_rows ? m : n;
    ptrdiff_t piece = (length + threads - 1) / threads;
    piece = (piece + PIECE_MULTIPLE - 1) / PIECE_MULTIPLE * PIECE_MULTIPLE;
    NAME(gemm_job) job = {
        transpose_a, transpose_b, by_rows, m, n, k, lda, ldb, ldc, piece, alpha, beta, a, b, c,
    };
    ft_parallel_for_threads(threads, (length + piece - 1) / piece, NAME(gemm_piece), &job);
}
