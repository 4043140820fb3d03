// Part of ft_conv_simd_template.h: what stands between convolutions while training.

/// Positions summed up before they are added to the rest, so that rounding errors stay those of a short sum.
enum { RUN = 128 };

/// Sum of value(i) over positions: four sums at a time hide the latency of additions.
#define SUM_POSITIONS(total, value)                                                                                    \
    for (ptrdiff_t begin = 0; begin < positions; begin += RUN) {                                                       \
        ptrdiff_t end = ft_min(begin + RUN, positions), i = begin;                                                     \
        vec part[4] = {{0}};                                                                                           \
        for (; i + 4 <= end; i += 4) UNROLL for (int k = 0; k < 4; k++) part[k] += value(i + k);                       \
        for (; i < end; i++) part[0] += value(i);                                                                      \
        total += (part[0] + part[1]) + (part[2] + part[3]);                                                            \
    }

static void moments(const float *x, ptrdiff_t positions, float *mean_out, float *squares_out) {
    vec total = {0}, squares = {0};
#define ELEMENT(i) LOAD(x + (i) * FT_BLOCK)
    SUM_POSITIONS(total, ELEMENT)
    vec center = total / (float)positions;
#define SQUARE(i) (LOAD(x + (i) * FT_BLOCK) - center) * (LOAD(x + (i) * FT_BLOCK) - center)
    SUM_POSITIONS(squares, SQUARE)
    STORE(mean_out, center);
    STORE(squares_out, squares);
#undef ELEMENT
#undef SQUARE
}

/// The operands of a sum: 1 as it is, 2 with a factor, 0 for none.
#define FORMS(call)                                                                                                    \
    do {                                                                                                               \
        const ft_affine_operand *o = sum->operand;                                                                     \
        int second = o[1].x == NULL ? 0 : o[1].factor == NULL ? 1 : 2;                                                 \
        if (o[0].factor == NULL) {                                                                                     \
            if (second == 0) { call(1, 0); } else if (second == 1) { call(1, 1); } else { call(1, 2); }                \
        } else {                                                                                                       \
            if (second == 0) { call(2, 0); } else if (second == 1) { call(2, 1); } else { call(2, 2); }                \
        }                                                                                                              \
    } while (0)

typedef struct {
    vec factor[2], offset[2];
} affine_constants;

INLINE void load_constants(const ft_affine_sum *sum, int first, int second, affine_constants *c) {
    if (first == 2) {
        c->factor[0] = LOAD(sum->operand[0].factor);
        c->offset[0] = LOAD(sum->operand[0].offset);
    }
    if (second == 2) {
        c->factor[1] = LOAD(sum->operand[1].factor);
        c->offset[1] = LOAD(sum->operand[1].offset);
    }
}

/// The sum at position i, before ReLU.
INLINE void add_operands(
    const ft_affine_sum *sum, const affine_constants *c, ptrdiff_t i, int first, int second, vec *value) {
    *value = LOAD(sum->operand[0].x + i * FT_BLOCK);
    if (first == 2) *value = *value * c->factor[0] + c->offset[0];
    if (second == 1) *value += LOAD(sum->operand[1].x + i * FT_BLOCK);
    if (second == 2) *value += LOAD(sum->operand[1].x + i * FT_BLOCK) * c->factor[1] + c->offset[1];
}

/// g, zero unless the sum at position i is larger than 0.
INLINE void mask_gradient(
    const ft_affine_sum *sum, const affine_constants *c, ptrdiff_t i, int first, int second, vec *g) {
    vec value;
    add_operands(sum, c, i, first, second, &value);
    *g = (vec)((vec_mask)*g & (value > (vec){0}));
}

INLINE void affine_sum_of(const ft_affine_sum *sum, ptrdiff_t positions, float *y, int first, int second) {
    affine_constants c;
    load_constants(sum, first, second, &c);
    bool relu = sum->relu;
    for (ptrdiff_t i = 0; i < positions; i++) {
        vec value;
        add_operands(sum, &c, i, first, second, &value);
        // NaN stays NaN.
        if (relu) value = (vec)((vec_mask)value & ~(value < (vec){0}));
        STORE(y + i * FT_BLOCK, value);
    }
}

static void affine_sum(const ft_affine_sum *sum, ptrdiff_t positions, float *y) {
#define CALL(first, second) affine_sum_of(sum, positions, y, first, second)
    FORMS(CALL);
#undef CALL
}

INLINE void gradient_sums_of(
    const ft_affine_sum *sum, float *g, bool store, const float *mean_in, ptrdiff_t positions, float *total_out,
    float *product_out, int first, int second) {
    vec center = LOAD(mean_in);
    affine_constants c;
    load_constants(sum, first, second, &c);
    bool relu = sum->relu;
    vec total = {0}, product = {0};
    for (ptrdiff_t begin = 0; begin < positions; begin += RUN) {
        ptrdiff_t end = ft_min(begin + RUN, positions), i = begin;
        vec part[2] = {{0}}, part_product[2] = {{0}};
        for (; i < end; i++) {
            vec value = LOAD(g + i * FT_BLOCK);
            if (relu) mask_gradient(sum, &c, i, first, second, &value);
            if (store) STORE(g + i * FT_BLOCK, value);
            part[i & 1] += value;
            part_product[i & 1] += value * (LOAD(sum->operand[0].x + i * FT_BLOCK) - center);
        }
        total += part[0] + part[1];
        product += part_product[0] + part_product[1];
    }
    STORE(total_out, total);
    STORE(product_out, product);
}

INLINE void keep_positive_of(const ft_affine_sum *sum, float *g, ptrdiff_t positions, int first, int second) {
    affine_constants c;
    load_constants(sum, first, second, &c);
    for (ptrdiff_t i = 0; i < positions; i++) {
        vec value = LOAD(g + i * FT_BLOCK);
        mask_gradient(sum, &c, i, first, second, &value);
        STORE(g + i * FT_BLOCK, value);
    }
}

static void affine_gradient_sums(
    const ft_affine_sum *sum, float *g, bool store, const float *mean_in, ptrdiff_t positions, float *total,
    float *product) {
    if (mean_in == NULL) {
#define CALL(first, second) keep_positive_of(sum, g, positions, first, second)
        if (store && sum->relu) FORMS(CALL);
#undef CALL
        return;
    }
#define CALL(first, second) gradient_sums_of(sum, g, store, mean_in, positions, total, product, first, second)
    FORMS(CALL);
#undef CALL
}

INLINE void affine_gradient_of(
    const ft_affine_sum *sum, const float *g, const float *mean_in, const float *shift_in, const float *slope_in,
    ptrdiff_t positions, float *x0, int first, int second) {
    vec center = LOAD(mean_in), shift = LOAD(shift_in), slope = LOAD(slope_in);
    affine_constants c;
    load_constants(sum, first, second, &c);
    bool relu = sum->relu;
    for (ptrdiff_t i = 0; i < positions; i++) {
        vec value = LOAD(g + i * FT_BLOCK);
        if (relu) mask_gradient(sum, &c, i, first, second, &value);
        value = value - shift - (LOAD(x0 + i * FT_BLOCK) - center) * slope;
        if (first == 2) value *= c.factor[0];
        STORE(x0 + i * FT_BLOCK, value);
    }
}

static void affine_gradient(
    const ft_affine_sum *sum, const float *g, const float *mean_in, const float *shift_in, const float *slope_in,
    ptrdiff_t positions, float *x0) {
#define CALL(first, second) affine_gradient_of(sum, g, mean_in, shift_in, slope_in, positions, x0, first, second)
    FORMS(CALL);
#undef CALL
}

// MARK: - Pooling

typedef uint8_t places16 __attribute__((vector_size(16), aligned(1)));

static void max_pool_places(const ft_conv_shape *s, const float *x, float *y, uint8_t *places) {
    ptrdiff_t height = s->input[1], width = s->input[2], out_width = s->output[2];
    for (ptrdiff_t oh = 0; oh < s->output[1]; oh++) {
        for (ptrdiff_t ow = 0; ow < out_width; ow++) {
            vec largest = (vec){0} - __builtin_inff();
            vec_mask place = {0};
            bool any = false;
            for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
                ptrdiff_t ih = oh * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                if (ih < 0 || ih >= height) continue;
                for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++) {
                    ptrdiff_t iw = ow * s->stride[2] - s->pad[2] + kw * s->dilation[2];
                    if (iw < 0 || iw >= width) continue;
                    vec value = LOAD(x + (ih * width + iw) * FT_BLOCK);
                    // The first element counts whatever it is; NaN is larger than every number, and the first one stays.
                    vec_mask replaces = (value > largest) | ((value != value) & (largest == largest));
                    if (!any) replaces = ~(vec_mask){0};
                    any = true;
                    int32_t here = (int32_t)(kh * s->kernel[2] + kw);
                    largest = (vec)(((vec_mask)value & replaces) | ((vec_mask)largest & ~replaces));
                    place = (((vec_mask){0} + here) & replaces) | (place & ~replaces);
                }
            }
            ptrdiff_t at = (oh * out_width + ow) * FT_BLOCK;
            STORE(y + at, largest);
            *(places16 *)(places + at) = __builtin_convertvector(place, places16);
        }
    }
}

static void max_pool_gradient(const ft_conv_shape *s, const uint8_t *places, const float *g, float *x) {
    ptrdiff_t height = s->input[1], width = s->input[2], out_width = s->output[2];
    memset(x, 0, (size_t)(height * width * FT_BLOCK) * sizeof(float));
    for (ptrdiff_t oh = 0; oh < s->output[1]; oh++) {
        for (ptrdiff_t ow = 0; ow < out_width; ow++) {
            ptrdiff_t at = (oh * out_width + ow) * FT_BLOCK;
            vec value = LOAD(g + at);
            vec_mask place = __builtin_convertvector(*(const places16 *)(places + at), vec_mask);
            for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
                ptrdiff_t ih = oh * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                if (ih < 0 || ih >= height) continue;
                for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++) {
                    ptrdiff_t iw = ow * s->stride[2] - s->pad[2] + kw * s->dilation[2];
                    if (iw < 0 || iw >= width) continue;
                    vec_mask here = place == (int32_t)(kh * s->kernel[2] + kw);
                    float *to = x + (ih * width + iw) * FT_BLOCK;
                    STORE(to, LOAD(to) + (vec)((vec_mask)value & here));
                }
            }
        }
    }
}
