// SPDX-License-Identifier: MIT
import Foundation
import PomeloConfiguration
import PomeloContract
import PomeloCore
import Testing

@testable import PomeloOperations

@Suite struct OperatorsTests {
    private static let hash = "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs="

    private static let ann = #"{"username": "a", "role": "own", "password": "HASH"}"#

    private func operators(_ text: String?, env: String = "production") throws -> Operators {
        let base = URL(fileURLWithPath: NSTemporaryDirectory())
        let folder = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: base, create: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        if let text { try Data(text.utf8).write(to: folder.appendingPathComponent("adminUser.json")) }
        return try Operators(Configuration(env: env, servers: [], folder: folder.path))
    }

    @Test func thoseOfTheEnvironment() throws {
        let ann = #"{"id": 1, "username": "ann", "role": "operate", "password": "\#(Self.hash)"}"#
        let all = try operators(#"{"production": [\#(ann)], "development": []}"#)
        #expect(all["ann"]?.role == .operate && all["bob"] == nil && !all.areUnnamed)
        let none = try operators(#"{"production": [\#(ann)], "development": []}"#, env: "development")
        #expect(none["ann"] == nil && !none.areUnnamed)
        #expect(try operators("[\(ann)]")["ann"] != nil)
    }

    /// Where nobody is named, only development is open, to who knows the cluster's secret.
    @Test func withoutAFile() throws {
        #expect(try operators(nil, env: "development").areUnnamed)
        #expect(try !operators(nil).areUnnamed)
    }

    @Test(arguments: [
        (#"{}"#, "must hold a list"), (#"[{"role": "own"}]"#, "username is missing"),
        (#"[{"id": 1, "username": "admin", "password": "admin", "level": 1}]"#, "level is pomelo's"),
        (#"[{"username": "admin", "password": "admin", "role": "own"}]"#, "passwords are not written here"),
        (
            #"[{"username": "admin", "password": "21232f297a57a5a743894a0e4a801fc3", "role": "own"}]"#,
            "passwords are not"
        ),
        (#"[{"username": "a", "role": "god", "password": ""}]"#, "role must be read, operate or own"),
        (#"[{"username": "a", "role": "own", "password": "HASH", "rule": 1}]"#, "unknown key rule"),
        (#"[ANN, ANN]"#, "a is there twice"),
    ])
    func whatIsWrongIsNamed(_ text: String, _ reason: String) throws {
        let error = #expect(throws: PomeloError.self) {
            _ = try operators(text.replacing("ANN", with: Self.ann).replacing("HASH", with: Self.hash))
        }
        #expect(error?.message.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.message.contains("adminUser.json") == true)
    }
}
