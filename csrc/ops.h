// The ops of the project. A line here is all that an op needs to run in every runtime.
#pragma once

#include "kernels/cws.h"
#include "kernels/lltm.h"
#include "kernels/lltm_int8.h"
#include "kernels/square.h"
#include "op.h"

namespace op {

using Ops = List<Square, Lltm, LltmPacked, LltmInt8, Cws, CwsDense, CwsSparse, CwsCodes, CwsGenerated>;
using Training = List<SquareBackward, LltmTraining, LltmBackward>;

}  // namespace op
