// Prints the SHA-256 of what is read, given in pieces of so many bytes.
#include "sha256.h"

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>

int main(int count, char** words) {
  const std::size_t piece = count > 1 ? std::strtoul(words[1], nullptr, 10) : 1;
  const std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  dp::Sha256 sha;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    sha.update({reinterpret_cast<const std::uint8_t*>(text.data()) + at, std::min(piece, text.size() - at)});
  }
  std::cout << sha.hex();
}
