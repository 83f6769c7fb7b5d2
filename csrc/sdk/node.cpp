#include "node.h"

namespace dp {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxValues = 400'000;

/// What the library says, without the name of its exception.
std::string plain(const json::exception& error) {
  const std::string said = error.what();
  const std::size_t end = said.find("] ");
  return end == std::string::npos ? said : said.substr(end + 2);
}

}  // namespace

json parse_json(std::string_view text) {
  std::size_t values = 0;
  const auto limits = [&values](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) throw Damaged("it is nested too deep");
    if (++values > kMaxValues) throw Damaged("it has too many values");
    return true;
  };
  try {
    return json::parse(text, limits);
  } catch (const json::exception& error) {
    throw Damaged(plain(error));
  }
}

std::string Node::inner(const std::string& key) const { return place_.empty() ? key : place_ + "." + key; }

void Node::refuse(const std::string& what) const { throw Damaged(place_.empty() ? what : place_ + ": " + what); }

bool Node::has(const char* key) const { return value_->is_object() && value_->contains(key); }

Node Node::at(const char* key) const {
  if (!value_->is_object()) refuse("Input should be an object");
  const auto found = value_->find(key);
  if (found == value_->end()) throw Damaged(inner(key) + ": Field required");
  return {*found, inner(key)};
}

std::string Node::text() const {
  if (!value_->is_string()) refuse("Input should be a valid string");
  std::string text = value_->get<std::string>();
  if (text.find('\0') != std::string::npos) refuse("Input should have no zero bytes");
  return text;
}

std::int64_t Node::integer() const {
  const bool small = value_->is_number_integer() &&
                     (!value_->is_number_unsigned() || value_->get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
  if (!small) refuse("Input should be a valid integer");
  return value_->get<std::int64_t>();
}

double Node::number() const {
  if (!value_->is_number()) refuse("Input should be a valid number");
  return value_->get<double>();
}

bool Node::flag() const {
  if (!value_->is_boolean()) refuse("Input should be a valid boolean");
  return value_->get<bool>();
}

std::vector<Node> Node::items() const {
  if (!value_->is_array()) refuse("Input should be a list");
  std::vector<Node> nodes;
  nodes.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) nodes.emplace_back((*value_)[i], inner(std::to_string(i)));
  return nodes;
}

std::vector<std::pair<std::string, Node>> Node::members() const {
  if (!value_->is_object()) refuse("Input should be an object");
  std::vector<std::pair<std::string, Node>> nodes;
  for (const auto& [key, value] : value_->items()) nodes.emplace_back(key, Node(value, inner(key)));
  return nodes;
}

}  // namespace dp
