// JSON from a bundle: parsed within limits, and read value by value with the place of each in what goes wrong.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dp {

/// What is wrong with a file, without the file's name.
class Damaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A value and its place, such as `runtime.name`.
class Node {
 public:
  Node(const nlohmann::json& value, std::string place) : value_(&value), place_(std::move(place)) {}

  bool has(const char* key) const;
  Node at(const char* key) const;
  std::string text() const;
  std::int64_t integer() const;
  double number() const;
  bool flag() const;
  bool is_text() const { return value_->is_string(); }
  bool is_null() const { return value_->is_null(); }

  /// The values of a list, or those of an object with their keys.
  std::vector<Node> items() const;
  std::vector<std::pair<std::string, Node>> members() const;

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  std::string inner(const std::string& key) const;

  const nlohmann::json* value_;
  std::string place_;
};

/// Parses JSON; throws Damaged where it is none, is nested more than 32 deep or has more than 400,000 values.
nlohmann::json parse_json(std::string_view text);

}  // namespace dp
