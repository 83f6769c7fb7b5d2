// The C API for Kotlin: the functions of io.deploypipe.Native. Texts are UTF-8 in byte arrays, since what JNI calls
// UTF-8 is not; models and results are numbers that Kotlin keeps. What goes wrong becomes an
// io.deploypipe.DeployException.
#include <jni.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "deploypipe/deploypipe.h"

namespace {

/// What becomes a DeployException.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const dp_error& error) : std::runtime_error(error.message), error_(error) {}
  Failure(dp_status status, const char* message) : std::runtime_error(message), error_() {
    error_.status = status;
    std::string_view(message).copy(error_.message, sizeof(error_.message) - 1);
  }
  const dp_error& error() const { return error_; }

 private:
  dp_error error_;
};

/// Java has an exception of its own already, such as an OutOfMemoryError.
class JavaFailure : public std::exception {};

void check(dp_status status, const dp_error& error) {
  if (status != DP_OK) throw Failure(error);
}

template <typename T>
T* checked(JNIEnv* env, T* object) {
  if (object == nullptr || env->ExceptionCheck() == JNI_TRUE) throw JavaFailure();
  return object;
}

dp_model* model_of(jlong handle) {
  return reinterpret_cast<dp_model*>(handle);  // NOLINT(performance-no-int-to-ptr): Kotlin keeps pointers as numbers
}

dp_results* results_of(jlong handle) {
  return reinterpret_cast<dp_results*>(handle);  // NOLINT(performance-no-int-to-ptr)
}

jlong handle_of(void* pointer) { return reinterpret_cast<jlong>(pointer); }

jsize java_size(std::size_t size) {
  if (size > static_cast<std::size_t>(std::numeric_limits<jsize>::max())) {
    throw Failure(DP_UNSUPPORTED, "A tensor has more bytes than an array of Java can hold");
  }
  return static_cast<jsize>(size);
}

jbyteArray bytes(JNIEnv* env, const void* data, std::size_t size) {
  jbyteArray array = checked(env, env->NewByteArray(java_size(size)));
  env->SetByteArrayRegion(array, 0, static_cast<jsize>(size), static_cast<const jbyte*>(data));
  return array;
}

jbyteArray bytes(JNIEnv* env, std::string_view text) { return bytes(env, text.data(), text.size()); }

std::string text(JNIEnv* env, jbyteArray array) {
  std::string text(static_cast<std::size_t>(env->GetArrayLength(array)), '\0');
  env->GetByteArrayRegion(array, 0, static_cast<jsize>(text.size()), reinterpret_cast<jbyte*>(text.data()));
  return text;
}

std::optional<std::string> optional_text(JNIEnv* env, jbyteArray array) {
  return array == nullptr ? std::nullopt : std::optional(text(env, array));
}

const char* pointer(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }

void raise(JNIEnv* env, const dp_error& error) {
  jclass type = checked(env, env->FindClass("io/deploypipe/DeployException"));
  jmethodID make = checked(env, env->GetMethodID(type, "<init>", "(I[B[B)V"));
  jbyteArray message = bytes(env, error.message);
  jbyteArray cure = bytes(env, error.cure);
  jobject exception = checked(env, env->NewObject(type, make, static_cast<jint>(error.status), message, cure));
  env->Throw(static_cast<jthrowable>(exception));
}

/// Calls a function; on a failure Java gets the exception, and the caller a zero that Java does not look at.
template <typename Action>
auto guarded(JNIEnv* env, Action action) -> decltype(action()) {
  try {
    try {
      return action();
    } catch (const Failure& failure) {
      raise(env, failure.error());
    } catch (const JavaFailure&) {
      throw;
    } catch (const std::bad_alloc&) {
      raise(env, Failure(DP_OUT_OF_MEMORY, "There is not enough memory").error());
    } catch (const std::exception& error) {
      raise(env, Failure(DP_INTERNAL, error.what()).error());
    }
  } catch (const JavaFailure&) {  // NOLINT(bugprone-empty-catch): Java throws its own when this returns
  } catch (const Failure&) {      // NOLINT(bugprone-empty-catch): not from texts as short as those of dp_error
  }
  return decltype(action())();
}

std::size_t element_size(dp_dtype dtype) {
  if (const std::size_t size = dp_dtype_size(dtype); size != 0) return size;
  throw Failure(DP_INVALID_ARGUMENT, "An input has an unknown dtype");
}

/// Bytes of a tensor, or nothing where they are more than `most`.
std::optional<std::size_t> byte_size(const dp_tensor& tensor, std::size_t most) {
  std::size_t size = element_size(tensor.dtype);
  for (int axis = 0; axis < tensor.rank; ++axis) {
    const std::int64_t extent = tensor.shape[axis];
    if (extent < 0 || (extent > 0 && size > most / static_cast<std::size_t>(extent))) return std::nullopt;
    size *= static_cast<std::size_t>(extent);
  }
  return size <= most ? std::optional(size) : std::nullopt;
}

/// One input; its memory is that of a direct buffer, which the caller of `run` keeps.
dp_tensor tensor_of(JNIEnv* env, jint dtype, jlongArray shape, jobject buffer) {
  dp_tensor tensor = {static_cast<dp_dtype>(dtype), env->GetArrayLength(shape), {}, nullptr};
  if (tensor.rank > DP_MAX_RANK) throw Failure(DP_INVALID_ARGUMENT, "An input has more than 8 axes");
  std::array<jlong, DP_MAX_RANK> sizes{};
  env->GetLongArrayRegion(shape, 0, tensor.rank, sizes.data());
  for (int axis = 0; axis < tensor.rank; ++axis) tensor.shape[axis] = sizes.at(static_cast<std::size_t>(axis));
  tensor.data = env->GetDirectBufferAddress(buffer);
  const jlong capacity = env->GetDirectBufferCapacity(buffer);
  if (tensor.data == nullptr || capacity < 0) throw Failure(DP_INVALID_ARGUMENT, "An input is no direct buffer");
  if (!byte_size(tensor, static_cast<std::size_t>(capacity))) {
    throw Failure(DP_INVALID_ARGUMENT, "An input has a shape of more bytes than its buffer");
  }
  return tensor;
}

std::vector<dp_tensor> tensors_of(JNIEnv* env, jintArray dtypes, jobjectArray shapes, jobjectArray buffers) {
  const jsize count = env->GetArrayLength(dtypes);
  if (env->GetArrayLength(shapes) != count || env->GetArrayLength(buffers) != count) {
    throw Failure(DP_INVALID_ARGUMENT, "There are not as many dtypes, shapes and buffers");
  }
  std::vector<jint> kinds(static_cast<std::size_t>(count));
  env->GetIntArrayRegion(dtypes, 0, count, kinds.data());
  std::vector<dp_tensor> tensors;
  for (jsize i = 0; i < count; ++i) {
    auto* shape = static_cast<jlongArray>(checked(env, env->GetObjectArrayElement(shapes, i)));
    jobject buffer = checked(env, env->GetObjectArrayElement(buffers, i));
    tensors.push_back(tensor_of(env, kinds[static_cast<std::size_t>(i)], shape, buffer));
    env->DeleteLocalRef(buffer);
    env->DeleteLocalRef(shape);
  }
  return tensors;
}

const dp_tensor& tensor_at(jlong results, jint index) {
  const dp_tensor* tensor = dp_results_tensor(results_of(results), static_cast<std::size_t>(index));
  if (tensor == nullptr) throw Failure(DP_INVALID_ARGUMENT, "There is no such output");
  return *tensor;
}

jobjectArray labels_of(JNIEnv* env, const std::vector<dp_class>& classes) {
  jclass type = checked(env, env->FindClass("[B"));
  jobjectArray labels = checked(env, env->NewObjectArray(static_cast<jsize>(classes.size()), type, nullptr));
  for (std::size_t i = 0; i < classes.size(); ++i) {
    jbyteArray label = bytes(env, classes[i].label);
    env->SetObjectArrayElement(labels, static_cast<jsize>(i), label);
    env->DeleteLocalRef(label);
  }
  return labels;
}

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): the names are those that Java looks for
extern "C" {

JNIEXPORT jbyteArray JNICALL Java_io_deploypipe_Native_version(JNIEnv* env, jclass /*type*/) {
  return guarded(env, [&] { return bytes(env, dp_version()); });
}

JNIEXPORT jlong JNICALL Java_io_deploypipe_Native_open(JNIEnv* env, jclass /*type*/, jbyteArray path,
                                                       jbyteArray runtime_library, jbyteArray temporary_folder,
                                                       jint threads, jboolean without_op_libraries) {
  return guarded(env, [&] {
    const std::optional<std::string> library = optional_text(env, runtime_library);
    const std::optional<std::string> folder = optional_text(env, temporary_folder);
    dp_options options = DP_OPTIONS_INIT;
    options.runtime_library = pointer(library);
    options.temporary_folder = pointer(folder);
    options.threads = threads;
    options.without_op_libraries = without_op_libraries == JNI_TRUE ? 1 : 0;
    dp_model* model = nullptr;
    dp_error error{};
    check(dp_open(text(env, path).c_str(), &options, &model, &error), error);
    return handle_of(model);
  });
}

JNIEXPORT void JNICALL Java_io_deploypipe_Native_close(JNIEnv* /*env*/, jclass /*type*/, jlong model) {
  dp_close(model_of(model));
}

JNIEXPORT jbyteArray JNICALL Java_io_deploypipe_Native_manifest(JNIEnv* env, jclass /*type*/, jlong model) {
  return guarded(env, [&] { return bytes(env, dp_manifest(model_of(model))); });
}

JNIEXPORT jbyteArray JNICALL Java_io_deploypipe_Native_runtimeVersion(JNIEnv* env, jclass /*type*/, jlong model) {
  return guarded(env, [&] { return bytes(env, dp_runtime_version(model_of(model))); });
}

JNIEXPORT jbyteArray JNICALL Java_io_deploypipe_Native_verify(JNIEnv* env, jclass /*type*/, jlong model) {
  return guarded(env, [&] {
    dp_verdict* verdict = nullptr;
    dp_error error{};
    check(dp_verify(model_of(model), &verdict, &error), error);
    const std::string json = dp_verdict_json(verdict);
    dp_verdict_free(verdict);
    return bytes(env, json);
  });
}

JNIEXPORT jlong JNICALL Java_io_deploypipe_Native_run(JNIEnv* env, jclass /*type*/, jlong model, jintArray dtypes,
                                                      jobjectArray shapes, jobjectArray buffers) {
  return guarded(env, [&] {
    const std::vector<dp_tensor> inputs = tensors_of(env, dtypes, shapes, buffers);
    dp_results* results = nullptr;
    dp_error error{};
    check(dp_run(model_of(model), inputs.data(), inputs.size(), &results, &error), error);
    return handle_of(results);
  });
}

JNIEXPORT jlong JNICALL Java_io_deploypipe_Native_runImage(JNIEnv* env, jclass /*type*/, jlong model, jbyteArray pixels,
                                                           jint width, jint height, jint channels) {
  return guarded(env, [&] {
    const std::string copy = text(env, pixels);
    if (width < 1 || height < 1 || channels < 1 || channels > 4 ||
        static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) >
            copy.size() / static_cast<std::uint64_t>(channels)) {
      throw Failure(DP_INVALID_ARGUMENT, "The image has fewer bytes than width x height x channels");
    }
    const dp_image image = {reinterpret_cast<const std::uint8_t*>(copy.data()), width, height, channels, 0};
    dp_results* results = nullptr;
    dp_error error{};
    check(dp_run_image(model_of(model), &image, &results, &error), error);
    return handle_of(results);
  });
}

JNIEXPORT jint JNICALL Java_io_deploypipe_Native_count(JNIEnv* env, jclass /*type*/, jlong results) {
  return guarded(env, [&] { return static_cast<jint>(java_size(dp_results_count(results_of(results)))); });
}

JNIEXPORT jint JNICALL Java_io_deploypipe_Native_dtype(JNIEnv* env, jclass /*type*/, jlong results, jint index) {
  return guarded(env, [&] { return static_cast<jint>(tensor_at(results, index).dtype); });
}

JNIEXPORT jlongArray JNICALL Java_io_deploypipe_Native_shape(JNIEnv* env, jclass /*type*/, jlong results, jint index) {
  return guarded(env, [&] {
    const dp_tensor& tensor = tensor_at(results, index);
    const std::vector<jlong> sizes(tensor.shape, tensor.shape + tensor.rank);
    jlongArray shape = checked(env, env->NewLongArray(tensor.rank));
    env->SetLongArrayRegion(shape, 0, tensor.rank, sizes.data());
    return shape;
  });
}

JNIEXPORT jbyteArray JNICALL Java_io_deploypipe_Native_data(JNIEnv* env, jclass /*type*/, jlong results, jint index) {
  return guarded(env, [&] {
    const dp_tensor& tensor = tensor_at(results, index);
    const std::optional<std::size_t> size = byte_size(tensor, std::numeric_limits<jsize>::max());
    return bytes(env, tensor.data, size.value_or(std::numeric_limits<std::size_t>::max()));
  });
}

// Fills `probabilities`, which is as long as the last axis, and returns the labels beside them.
JNIEXPORT jobjectArray JNICALL Java_io_deploypipe_Native_classes(JNIEnv* env, jclass /*type*/, jlong model,
                                                                 jlong results, jint output, jlong row,
                                                                 jdoubleArray probabilities) {
  return guarded(env, [&] {
    std::vector<dp_class> classes(static_cast<std::size_t>(env->GetArrayLength(probabilities)));
    std::size_t count = classes.size();
    dp_error error{};
    check(dp_classes(model_of(model), results_of(results), static_cast<std::size_t>(output), row, classes.data(),
                     &count, &error),
          error);
    classes.resize(count);
    std::vector<jdouble> values;
    values.reserve(count);
    for (const dp_class& each : classes) values.push_back(each.probability);
    env->SetDoubleArrayRegion(probabilities, 0, static_cast<jsize>(count), values.data());
    return labels_of(env, classes);
  });
}

JNIEXPORT void JNICALL Java_io_deploypipe_Native_free(JNIEnv* /*env*/, jclass /*type*/, jlong results) {
  dp_results_free(results_of(results));
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
