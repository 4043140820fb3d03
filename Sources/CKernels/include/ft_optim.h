#ifndef FT_OPTIM_H
#define FT_OPTIM_H

#include <stdbool.h>
#include <stddef.h>

// One optimizer step over `length` elements, in place.

#define FT_DECLARE_OPTIM(F, T)                                                                                         \
    /* d = g + weight_decay p; m = first ? d : momentum m + (1 - dampening) d; p -= rate (nesterov ? d + momentum m */ \
    /* : m). Without a buffer (null) p -= rate d. */                                                                   \
    void ft_sgd_step_##F(T rate, T momentum, T dampening, T weight_decay, bool nesterov, bool first, const T *gradient, \
                         T *parameter, T *buffer, ptrdiff_t length);                                                   \
    /* p = shrink p; d = g + decay p; m += new1 (d - m); v = kept2 v + new2 d^2; p -= step_size m / */                 \
    /* (sqrt(v) / root_correction + epsilon). With `largest` (may be null) its maximum with v takes v's place. */      \
    /* new1 and new2 come rounded from 1 - beta: computed here in T they would lose half of their digits. */           \
    void ft_adam_step_##F(T shrink, T decay, T new1, T kept2, T new2, T epsilon, T step_size, T root_correction,       \
                          const T *gradient, T *parameter, T *first_moment, T *second_moment, T *largest,              \
                          ptrdiff_t length);

FT_DECLARE_OPTIM(f32, float)
FT_DECLARE_OPTIM(f64, double)

#endif
