// Classes as a table for the terminal.
#pragma once

#include <string>
#include <vector>

struct Row {
  std::string label;
  double probability;
};

/// One line per class: its name, its probability, and a bar as long as that.
std::string table(const std::vector<Row>& rows);
