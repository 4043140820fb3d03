#include "ft_order.h"
#include "ft_simd.h"

// An element becomes an integer whose order is the wanted one, with its position below it: no two are equal, so that
// selecting and sorting need not be stable.

typedef unsigned __int128 ft_wide;

ptrdiff_t ft_order_scratch(ptrdiff_t length) { return length * (ptrdiff_t)sizeof(ft_wide); }

FT_INLINE uint32_t ft_key_f32(float x) {
    // The sum makes the two zeros one.
    const float y = x + 0.0f;
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return x == x ? ordered : UINT32_MAX;
}

FT_INLINE uint64_t ft_key_f64(double x) {
    const double y = x + 0.0;
    uint64_t bits;
    memcpy(&bits, &y, sizeof bits);
    const uint64_t ordered = bits >> 63 ? ~bits : bits | (1ull << 63);
    return x == x ? ordered : UINT64_MAX;
}

FT_INLINE uint64_t ft_key_i64(int64_t x) { return (uint64_t)x ^ (1ull << 63); }

#define FT_ORDER_FUNCTIONS(K, T)                                                                                       \
    static void ft_insert_##K(T *a, ptrdiff_t n) {                                                                     \
        for (ptrdiff_t i = 1; i < n; i++) {                                                                            \
            const T x = a[i];                                                                                          \
            ptrdiff_t j = i;                                                                                           \
            for (; j > 0 && a[j - 1] > x; j--) a[j] = a[j - 1];                                                        \
            a[j] = x;                                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void ft_sift_##K(T *a, ptrdiff_t i, ptrdiff_t n) {                                                          \
        const T x = a[i];                                                                                              \
        for (ptrdiff_t child; (child = 2 * i + 1) < n; i = child) {                                                    \
            if (child + 1 < n && a[child + 1] > a[child]) child++;                                                     \
            if (a[child] <= x) break;                                                                                  \
            a[i] = a[child];                                                                                           \
        }                                                                                                              \
        a[i] = x;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    static void ft_heap_sort_##K(T *a, ptrdiff_t n) {                                                                  \
        for (ptrdiff_t i = n / 2; i-- > 0;) ft_sift_##K(a, i, n);                                                      \
        for (ptrdiff_t end = n - 1; end > 0; end--) {                                                                  \
            const T last = a[end];                                                                                     \
            a[end] = a[0];                                                                                             \
            a[0] = last;                                                                                               \
            ft_sift_##K(a, 0, end);                                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* Sorts the first `count` of the n elements into place. Parts that lie behind them are not looked at again. */    \
    static void ft_first_##K(T *a, ptrdiff_t n, ptrdiff_t count, int depth) {                                          \
        while (n > 24) {                                                                                               \
            if (depth-- == 0) {                                                                                        \
                ft_heap_sort_##K(a, n);                                                                                \
                return;                                                                                                \
            }                                                                                                          \
            const T p = a[n / 4], q = a[n / 2], r = a[n - n / 4 - 1];                                                  \
            const T low = p < q ? p : q, high = p < q ? q : p;                                                         \
            const T pivot = r < low ? low : (r > high ? high : r);                                                     \
            ptrdiff_t i = 0, j = n - 1;                                                                                \
            while (i <= j) {                                                                                           \
                while (a[i] < pivot) i++;                                                                              \
                while (a[j] > pivot) j--;                                                                              \
                if (i <= j) {                                                                                          \
                    const T x = a[i];                                                                                  \
                    a[i++] = a[j];                                                                                     \
                    a[j--] = x;                                                                                        \
                }                                                                                                      \
            }                                                                                                          \
            if (count > i) {                                                                                           \
                ft_first_##K(a, j + 1, j + 1, depth);                                                                  \
                a += i;                                                                                                \
                n -= i;                                                                                                \
                count -= i;                                                                                            \
            } else {                                                                                                   \
                n = j + 1;                                                                                             \
                if (count > n) count = n;                                                                              \
            }                                                                                                          \
        }                                                                                                              \
        ft_insert_##K(a, n);                                                                                           \
    }                                                                                                                  \
                                                                                                                       \
    /* For few of many: those kept form a heap with the last in order on top, which most elements do not enter. */     \
    static ptrdiff_t ft_keep_##K(T *a, ptrdiff_t n, ptrdiff_t count) {                                                 \
        for (ptrdiff_t i = count / 2; i-- > 0;) ft_sift_##K(a, i, count);                                              \
        for (ptrdiff_t i = count; i < n; i++) {                                                                        \
            if (a[i] < a[0]) {                                                                                         \
                a[0] = a[i];                                                                                           \
                ft_sift_##K(a, 0, count);                                                                              \
            }                                                                                                          \
        }                                                                                                              \
        return count;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    static void ft_select_##K(T *a, ptrdiff_t n, ptrdiff_t count) {                                                    \
        if (count <= 0) return;                                                                                        \
        if (count <= n / 64) n = ft_keep_##K(a, n, count);                                                             \
        int depth = 2;                                                                                                 \
        for (ptrdiff_t size = n; size > 1; size /= 2) depth += 2;                                                      \
        ft_first_##K(a, n, count, depth);                                                                              \
    }
FT_ORDER_FUNCTIONS(narrow, uint64_t)
FT_ORDER_FUNCTIONS(wide, ft_wide)

FT_CLONES static void ft_keys_f32(bool largest, const float *x, uint64_t *keys, ptrdiff_t length) {
    const uint32_t flip = largest ? UINT32_MAX : 0;
    for (ptrdiff_t i = 0; i < length; i++) keys[i] = (uint64_t)(ft_key_f32(x[i]) ^ flip) << 32 | (uint32_t)i;
}

bool ft_order(ft_dtype dtype, bool largest, const void *x, ptrdiff_t length, ptrdiff_t count, void *scratch,
              int64_t *positions) {
    if (dtype == FT_FLOAT32 && length < INT32_MAX) {
        uint64_t *keys = scratch;
        ft_keys_f32(largest, x, keys, length);
        ft_select_narrow(keys, length, count);
        for (ptrdiff_t i = 0; i < count; i++) positions[i] = (int64_t)(keys[i] & UINT32_MAX);
        return true;
    }
    ft_wide *keys = scratch;
    const uint64_t flip = largest ? UINT64_MAX : 0;
    for (ptrdiff_t i = 0; i < length; i++) {
        uint64_t key;
        switch (dtype) {
        case FT_FLOAT32: key = ft_key_f64(((const float *)x)[i]); break;
        case FT_FLOAT64: key = ft_key_f64(((const double *)x)[i]); break;
        case FT_INT64: key = ft_key_i64(((const int64_t *)x)[i]); break;
        default: return false;
        }
        keys[i] = (ft_wide)(key ^ flip) << 64 | (uint64_t)i;
    }
    ft_select_wide(keys, length, count);
    for (ptrdiff_t i = 0; i < count; i++) positions[i] = (int64_t)(uint64_t)keys[i];
    return true;
}
