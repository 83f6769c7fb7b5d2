// The functions are in DeploypipeCore.xcframework; a target of C needs a source.
#include "deploypipe/deploypipe.h"
