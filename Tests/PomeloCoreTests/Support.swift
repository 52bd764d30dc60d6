// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloLoop
import PomeloTesting

/// A handler made of routes, for tests.
@Loop struct Routes: Handler {
    let routes: [ServedRoute]

    init(@RouteList _ routes: @Loop (Routes) -> [ServedRoute]) {
        self.init(routes: [])
        self = Routes(routes: routes(self))
    }

    private init(routes: [ServedRoute]) { self.routes = routes }
}

extension TestSocket {
    /// The answers to one request, as texts.
    func texts(_ id: UInt32) -> [String] { (answers[id] ?? []).map { String(decoding: $0, as: UTF8.self) } }
}

/// A folder with files, until it is removed.
struct TemporaryFolder {
    let path = NSTemporaryDirectory() + "pomelo-\(UUID().uuidString)"

    init(_ files: [String: String]) throws {
        for (name, text) in files {
            let file = path + "/" + name
            try FileManager.default.createDirectory(
                atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        }
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// A folder with files, removed when the body ends.
func withFolder<Value>(_ files: [String: String], _ body: (String) throws -> Value) throws -> Value {
    let folder = try TemporaryFolder(files)
    defer { folder.remove() }
    return try body(folder.path)
}
