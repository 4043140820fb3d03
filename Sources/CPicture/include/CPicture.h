#ifndef CPICTURE_H
#define CPICTURE_H
#include <stddef.h>
#include <stdint.h>

#include "ft_codec.h"
#include "ft_resample.h"

#endif
