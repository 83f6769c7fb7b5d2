// A JNI environment without Java: the functions of JNIEnv that deploypipe_jni calls, so that it can run where there is
// no JVM, as in an emulator. Says the same as jvm/io/deploypipe/Main.java, with the same arguments.
#include <jni.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace {

/// What a JNI reference stands for: an array of any kind, a buffer, a class or an exception.
struct Object {
  std::string bytes = {};              ///< The elements of an array of primitives, or the name of a class.
  std::size_t width = 1;               ///< Bytes of one of them.
  std::vector<Object*> elements = {};  ///< The elements of an array of objects, or what an exception was made of.
  jint status = 0;                     ///< Of an exception.
  void* address = nullptr;             ///< Of a direct buffer.
  jlong capacity = -1;
};

std::vector<std::unique_ptr<Object>> heap;
Object* pending = nullptr;

template <typename Reference>
Reference made(Object object) {
  heap.push_back(std::make_unique<Object>(std::move(object)));
  return reinterpret_cast<Reference>(heap.back().get());
}

Object* object(jobject reference) { return reinterpret_cast<Object*>(reference); }

template <typename Array, typename Element>
Array new_array(JNIEnv* /*env*/, jsize size) {
  return made<Array>(
      {.bytes = std::string(static_cast<std::size_t>(size) * sizeof(Element), '\0'), .width = sizeof(Element)});
}

template <typename Array, typename Element>
void get_region(JNIEnv* /*env*/, Array array, jsize start, jsize size, Element* target) {
  std::memcpy(target, object(array)->bytes.data() + start * sizeof(Element), size * sizeof(Element));
}

template <typename Array, typename Element>
void set_region(JNIEnv* /*env*/, Array array, jsize start, jsize size, const Element* source) {
  std::memcpy(object(array)->bytes.data() + start * sizeof(Element), source, size * sizeof(Element));
}

jsize array_length(JNIEnv* /*env*/, jarray array) {
  const Object& found = *object(array);
  return static_cast<jsize>(found.bytes.size() / found.width + found.elements.size());
}

jclass find_class(JNIEnv* /*env*/, const char* name) { return made<jclass>({.bytes = name}); }

jmethodID get_method(JNIEnv* /*env*/, jclass type, const char* name, const char* signature) {
  const bool known = object(type)->bytes == "io/deploypipe/DeployException" && std::string(name) == "<init>" &&
                     std::string(signature) == "(I[B[B)V";
  return known ? reinterpret_cast<jmethodID>(type) : nullptr;
}

jobject new_object(JNIEnv* /*env*/, jclass /*type*/, jmethodID /*method*/, va_list words) {
  Object made_of;
  made_of.status = va_arg(words, jint);
  made_of.elements.push_back(object(va_arg(words, jobject)));
  made_of.elements.push_back(object(va_arg(words, jobject)));
  return made<jobject>(made_of);
}

jint throw_(JNIEnv* /*env*/, jthrowable exception) {
  pending = object(exception);
  return 0;
}

jboolean exception_check(JNIEnv* /*env*/) { return pending != nullptr ? JNI_TRUE : JNI_FALSE; }

jobjectArray new_objects(JNIEnv* /*env*/, jsize size, jclass /*type*/, jobject initial) {
  return made<jobjectArray>({.elements = std::vector<Object*>(static_cast<std::size_t>(size), object(initial))});
}

jobject get_element(JNIEnv* /*env*/, jobjectArray array, jsize index) {
  return reinterpret_cast<jobject>(object(array)->elements.at(static_cast<std::size_t>(index)));
}

void set_element(JNIEnv* /*env*/, jobjectArray array, jsize index, jobject value) {
  object(array)->elements.at(static_cast<std::size_t>(index)) = object(value);
}

void* buffer_address(JNIEnv* /*env*/, jobject buffer) { return object(buffer)->address; }
jlong buffer_capacity(JNIEnv* /*env*/, jobject buffer) { return object(buffer)->capacity; }
void delete_local(JNIEnv* /*env*/, jobject /*reference*/) {}

JNINativeInterface_ functions() {
  JNINativeInterface_ table{};
  table.FindClass = find_class;
  table.GetMethodID = get_method;
  table.NewObjectV = new_object;
  table.Throw = throw_;
  table.ExceptionCheck = exception_check;
  table.DeleteLocalRef = delete_local;
  table.GetArrayLength = array_length;
  table.NewByteArray = new_array<jbyteArray, jbyte>;
  table.NewLongArray = new_array<jlongArray, jlong>;
  table.GetByteArrayRegion = get_region<jbyteArray, jbyte>;
  table.SetByteArrayRegion = set_region<jbyteArray, jbyte>;
  table.GetIntArrayRegion = get_region<jintArray, jint>;
  table.GetLongArrayRegion = get_region<jlongArray, jlong>;
  table.SetLongArrayRegion = set_region<jlongArray, jlong>;
  table.SetDoubleArrayRegion = set_region<jdoubleArray, jdouble>;
  table.NewObjectArray = new_objects;
  table.GetObjectArrayElement = get_element;
  table.SetObjectArrayElement = set_element;
  table.GetDirectBufferAddress = buffer_address;
  table.GetDirectBufferCapacity = buffer_capacity;
  return table;
}

/// An array of Java with these elements.
template <typename Array, typename Element>
Array array_of(const std::vector<Element>& elements) {
  const auto* first = reinterpret_cast<const char*>(elements.data());
  return made<Array>({.bytes = std::string(first, elements.size() * sizeof(Element)), .width = sizeof(Element)});
}

jobjectArray objects_of(std::vector<jobject> references) {
  std::vector<Object*> elements;
  for (jobject each : references) elements.push_back(object(each));
  return made<jobjectArray>({.elements = elements});
}

jbyteArray bytes(const std::string& text) { return made<jbyteArray>({.bytes = text}); }
std::string text(jbyteArray array) { return object(array)->bytes; }

}  // namespace

extern "C" {
jbyteArray Java_io_deploypipe_Native_version(JNIEnv*, jclass);
jlong Java_io_deploypipe_Native_open(JNIEnv*, jclass, jbyteArray, jbyteArray, jbyteArray, jint, jboolean);
void Java_io_deploypipe_Native_close(JNIEnv*, jclass, jlong);
jbyteArray Java_io_deploypipe_Native_manifest(JNIEnv*, jclass, jlong);
jbyteArray Java_io_deploypipe_Native_runtimeVersion(JNIEnv*, jclass, jlong);
jbyteArray Java_io_deploypipe_Native_verify(JNIEnv*, jclass, jlong);
jlong Java_io_deploypipe_Native_run(JNIEnv*, jclass, jlong, jintArray, jobjectArray, jobjectArray);
jlong Java_io_deploypipe_Native_runImage(JNIEnv*, jclass, jlong, jbyteArray, jint, jint, jint);
jint Java_io_deploypipe_Native_count(JNIEnv*, jclass, jlong);
jint Java_io_deploypipe_Native_dtype(JNIEnv*, jclass, jlong, jint);
jlongArray Java_io_deploypipe_Native_shape(JNIEnv*, jclass, jlong, jint);
jbyteArray Java_io_deploypipe_Native_data(JNIEnv*, jclass, jlong, jint);
jobjectArray Java_io_deploypipe_Native_classes(JNIEnv*, jclass, jlong, jlong, jint, jlong, jdoubleArray);
void Java_io_deploypipe_Native_free(JNIEnv*, jclass, jlong);
}

namespace {

jlong open(JNIEnv* env, const std::string& path, char** words) {
  return Java_io_deploypipe_Native_open(env, nullptr, bytes(path), bytes(words[2]), bytes(words[3]), 1, JNI_TRUE);
}

/// Says what was thrown since the last call.
void refused() {
  if (pending == nullptr) {
    std::puts("not refused");
    return;
  }
  std::printf("%d: %s. %s\n", pending->status, pending->elements[0]->bytes.c_str(),
              pending->elements[1]->bytes.c_str());
  pending = nullptr;
}

jlong run(JNIEnv* env, jlong model, jint dtype, const std::vector<jlong>& shape, std::vector<float>& values,
          bool direct) {
  Object buffer;
  buffer.address = direct ? values.data() : nullptr;
  buffer.capacity = direct ? static_cast<jlong>(4 * values.size()) : -1;
  return Java_io_deploypipe_Native_run(env, nullptr, model, array_of<jintArray, jint>({dtype}),
                                       objects_of({array_of<jlongArray>(shape)}), objects_of({made<jobject>(buffer)}));
}

void show(JNIEnv* env, jlong model, jlong results) {
  std::printf("%d %d\n", Java_io_deploypipe_Native_count(env, nullptr, results),
              Java_io_deploypipe_Native_dtype(env, nullptr, results, 0));
  const std::string sizes = object(Java_io_deploypipe_Native_shape(env, nullptr, results, 0))->bytes;
  std::vector<jlong> shape(sizes.size() / sizeof(jlong));
  std::memcpy(shape.data(), sizes.data(), sizes.size());
  std::printf("[%lld, %lld]\n", static_cast<long long>(shape.at(0)), static_cast<long long>(shape.at(1)));
  auto* probabilities = array_of<jdoubleArray>(std::vector<jdouble>(static_cast<std::size_t>(shape.at(1))));
  jobjectArray labels = Java_io_deploypipe_Native_classes(env, nullptr, model, results, 0, 0, probabilities);
  double first = 0;
  std::memcpy(&first, object(probabilities)->bytes.data(), sizeof(first));
  std::printf("%s %.6f\n", object(labels)->elements.at(0)->bytes.c_str(), first);
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) return 2;
  const JNINativeInterface_ table = functions();
  JNIEnv environment{&table};
  JNIEnv* env = &environment;

  const jlong model = open(env, words[1], words);
  if (model == 0) {
    refused();
    return 1;
  }
  std::printf("%s %s\n", text(Java_io_deploypipe_Native_version(env, nullptr)).c_str(),
              text(Java_io_deploypipe_Native_runtimeVersion(env, nullptr, model)).c_str());
  std::printf("%zu\n", text(Java_io_deploypipe_Native_manifest(env, nullptr, model)).size());
  std::puts(text(Java_io_deploypipe_Native_verify(env, nullptr, model)).c_str());

  std::ifstream file(words[4], std::ios::binary);
  const std::string pixels((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const jlong of_image = Java_io_deploypipe_Native_runImage(env, nullptr, model, bytes(pixels), 8, 8, 1);
  show(env, model, of_image);

  std::vector<float> values;
  for (const char pixel : pixels) values.push_back(static_cast<float>(static_cast<std::uint8_t>(pixel) / 255.0));
  const jlong of_tensor = run(env, model, 1, {1, 1, 8, 8}, values, true);
  const bool same = text(Java_io_deploypipe_Native_data(env, nullptr, of_image, 0)) ==
                    text(Java_io_deploypipe_Native_data(env, nullptr, of_tensor, 0));
  std::puts(same ? "true" : "false");

  open(env, std::string(words[1]) + "/nowhere", words);
  refused();
  run(env, model, 9, {1, 1, 8, 8}, values, true);
  refused();
  run(env, model, 1, {2, 1, 8, 8}, values, true);
  refused();
  run(env, model, 1, {1LL << 40, 1LL << 40, 8, 8}, values, true);
  refused();
  run(env, model, 1, {1, 1, 8, 8}, values, false);
  refused();
  Java_io_deploypipe_Native_runImage(env, nullptr, model, bytes(pixels), 9, 8, 1);
  refused();
  Java_io_deploypipe_Native_runImage(env, nullptr, model, bytes(pixels), 1 << 30, 1 << 30, 4);
  refused();
  Java_io_deploypipe_Native_data(env, nullptr, of_image, 1);
  refused();
  Java_io_deploypipe_Native_free(env, nullptr, of_tensor);
  Java_io_deploypipe_Native_free(env, nullptr, of_image);
  Java_io_deploypipe_Native_close(env, nullptr, model);
  return 0;
}
