#include "ft_optim.h"
#include "ft_simd.h"

#define FT_SGD(F, T)                                                                                                   \
    FT_CLONES void ft_sgd_step_##F(T rate, T momentum, T dampening, T weight_decay, bool nesterov, bool first,         \
                                   const T *gradient, T *parameter, T *buffer, ptrdiff_t length) {                     \
        if (!buffer) {                                                                                                 \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < length; i++) {                                                                   \
                parameter[i] -= rate * (gradient[i] + weight_decay * parameter[i]);                                    \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        const T kept = first ? 0 : momentum, added = first ? 1 : 1 - dampening;                                        \
        const T of_gradient = nesterov ? 1 : 0, of_buffer = nesterov ? momentum : 1;                                   \
        FT_INDEPENDENT                                                                                                 \
        for (ptrdiff_t i = 0; i < length; i++) {                                                                       \
            const T d = gradient[i] + weight_decay * parameter[i];                                                     \
            const T m = kept * buffer[i] + added * d;                                                                  \
            buffer[i] = m;                                                                                             \
            parameter[i] -= rate * (of_gradient * d + of_buffer * m);                                                  \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_SGD)

// A test of `largest` inside of the loop would keep it from being vectorised: there are two loops.
#define FT_ADAM_LOOP(T, second_moment_in_force)                                                                        \
    FT_INDEPENDENT                                                                                                     \
    for (ptrdiff_t i = 0; i < length; i++) {                                                                           \
        const T p = shrink * parameter[i];                                                                             \
        const T d = gradient[i] + decay * p;                                                                           \
        const T m = first_moment[i] + new1 * (d - first_moment[i]);                                                    \
        const T v = kept2 * second_moment[i] + new2 * d * d;                                                           \
        first_moment[i] = m;                                                                                           \
        second_moment[i] = v;                                                                                          \
        const T scale = second_moment_in_force;                                                                        \
        parameter[i] = p - step_size * m / (__builtin_elementwise_sqrt(scale) / root_correction + epsilon);            \
    }

#define FT_ADAM(F, T)                                                                                                  \
    FT_CLONES void ft_adam_step_##F(T shrink, T decay, T new1, T kept2, T new2, T epsilon, T step_size,                \
                                    T root_correction, const T *gradient, T *parameter, T *first_moment,               \
                                    T *second_moment, T *largest, ptrdiff_t length) {                                  \
        if (largest) {                                                                                                 \
            FT_ADAM_LOOP(T, (largest[i] = largest[i] > v ? largest[i] : v))                                            \
        } else {                                                                                                       \
            FT_ADAM_LOOP(T, v)                                                                                         \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_ADAM)
