#!/usr/bin/env bash
# Builds the C SDK for devices and for the simulator, and joins both to DeploypipeCore.xcframework. Needs Xcode, CMake.
set -euo pipefail
cd "$(dirname "$0")"

frameworks=()
for system in iphoneos iphonesimulator; do
  cmake -S . -B "build/$system" -DCMAKE_SYSTEM_NAME=iOS -DCMAKE_OSX_SYSROOT="$system" \
    -DCMAKE_OSX_ARCHITECTURES=arm64 -DCMAKE_OSX_DEPLOYMENT_TARGET=15.0 -DCMAKE_BUILD_TYPE=Release
  cmake --build "build/$system" --target deploypipe
  frameworks+=(-framework "$(find "$PWD/build/$system" -name DeploypipeCore.framework -type d | head -n 1)")
done
rm -rf DeploypipeCore.xcframework
xcodebuild -create-xcframework "${frameworks[@]}" -output DeploypipeCore.xcframework
