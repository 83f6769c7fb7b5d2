// The two functions of an op library for LiteRT, for programs of one's own.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Gives the options of a model the kernels of every op of this library that the model has, before it is compiled.
/// @param options LiteRtOptions.
/// @param model LiteRtModel.
/// @param library What dlopen gave for libLiteRt, or NULL where the program is linked with it.
/// @return NULL, or what is wrong; the text lives until the thread calls this again.
const char* deploypipe_register_litert(void* options, void* model, void* library);

/// Returns the first error of a kernel of this library in this thread since the last call of this function, or NULL.
/// LiteRT does not hear of such an error, so it is to be asked for after each run.
/// @return The text lives until the thread calls this again.
const char* deploypipe_litert_error(void);

#ifdef __cplusplus
}
#endif
