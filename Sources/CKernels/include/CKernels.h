#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include "ft_affine.h"
#include "ft_blas.h"
#include "ft_conv.h"
#include "ft_dtype.h"
#include "ft_elementwise.h"
#include "ft_layout.h"
#include "ft_matmul.h"
#include "ft_norm.h"
#include "ft_optim.h"
#include "ft_order.h"
#include "ft_pool.h"
#include "ft_random.h"
#include "ft_reduce.h"
#include "ft_shape.h"
#include "ft_threads.h"

#endif
