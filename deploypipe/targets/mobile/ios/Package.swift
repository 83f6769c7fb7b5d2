// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Deploypipe",
    platforms: [.iOS(.v15)],
    products: [.library(name: "Deploypipe", targets: ["Deploypipe"])],
    targets: [
        // Made by framework/build.sh.
        .binaryTarget(name: "DeploypipeCore", path: "framework/DeploypipeCore.xcframework"),
        .target(name: "CDeploypipe", dependencies: ["DeploypipeCore"]),
        .target(
            name: "Deploypipe",
            dependencies: ["CDeploypipe"],
            resources: [.copy("Resources/model.dpb.zip")]
        ),
        .testTarget(name: "DeploypipeTests", dependencies: ["Deploypipe"]),
    ]
)
