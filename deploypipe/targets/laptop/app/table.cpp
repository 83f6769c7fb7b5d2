#include "table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace {

constexpr double kBar = 40;

std::string percent(double probability) {
  std::array<char, 16> text{};
  static_cast<void>(std::snprintf(text.data(), text.size(), "%6.2f %%", 100 * probability));
  return text.data();
}

}  // namespace

std::string table(const std::vector<Row>& rows) {
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.label.size());
  std::string text;
  for (const Row& row : rows) {
    const auto bar = static_cast<std::size_t>(std::lround(kBar * std::clamp(row.probability, 0.0, 1.0)));
    text += "  " + row.label + std::string(width - row.label.size(), ' ') + "  " + percent(row.probability) +
            (bar > 0 ? "  " + std::string(bar, '#') : "") + "\n";
  }
  return text;
}
