// How a kernel is called from outside: its parameters' types in words, and a launch with pointers to their values.
#pragma once

#include "cuda_host_numbers.hpp"
#include "cuda_host_threads.hpp"

#include <string>
#include <utility>

namespace cuda_host {

template <class T>
std::string name_of() {
    if constexpr (std::is_pointer_v<T>) {
        using Pointee = std::remove_pointer_t<T>;
        return (std::is_const_v<Pointee> ? "const " : "") + name_of<std::remove_cv_t<Pointee>>() + "*";
    }
    if constexpr (std::is_void_v<T>) return "void";
    else if constexpr (std::is_same_v<T, bool>) return "bool";
    else if constexpr (std::is_same_v<T, __half>) return "float16";
    else if constexpr (std::is_same_v<T, __nv_bfloat16>) return "bfloat16";
    else if constexpr (std::is_floating_point_v<T>) return "float" + std::to_string(8 * sizeof(T));
    else if constexpr (std::is_integral_v<T>)
        return (std::is_signed_v<T> ? "int" : "uint") + std::to_string(8 * sizeof(T));
    else return "struct" + std::to_string(sizeof(T));
}

template <class... P>
const char* types(void (*)(P...)) {
    static std::string names;
    names = "";
    ((names += name_of<std::remove_cv_t<P>>() + ","), ...);
    return names.c_str();
}

template <auto function, class... P, size_t... I>
void call(void** values, std::index_sequence<I...>, void (*)(P...)) {
    function(*static_cast<std::remove_cv_t<P>*>(values[I])...);
}

template <auto function, class... P>
void call(void** values, void (*same)(P...)) {
    call<function>(values, std::index_sequence_for<P...>(), same);
}

template <auto function>
void entry(void** values) {
    call<function>(values, function);
}

}  // namespace cuda_host

#define CUDA_HOST_KERNEL(name) \
    extern "C" const char* types_of_##name() { return cuda_host::types(name); } \
    extern "C" const char* launch_##name(void** values, const unsigned* shape, int reverse) { \
        return cuda_host::launch(cuda_host::entry<name>, values, shape, reverse); \
    }
