// What a runtime says, as a part of a sentence.
#pragma once

#include <sstream>
#include <string>

namespace dp {

/// The words of a text on one line, without a full stop at the end.
inline std::string said(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  line.erase(line.find_last_not_of('.') + 1);
  return line;
}

}  // namespace dp
