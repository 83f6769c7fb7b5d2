import XCTest

import Deploypipe

/// The bundle proves itself on the device that runs this test.
final class VerifyTests: XCTestCase {
    func testTheBundleVerifies() throws {
        let model = try Model.open(Model.bundle)
        let verdict = try model.verify()
        XCTAssertTrue(verdict.passed, verdict.json)
    }
}
