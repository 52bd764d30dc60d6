// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers

@testable import PomeloConnectors

/// Two versions of the schemas of a small game.
enum Schemas {
    static let echo = "game.areaHandler.echo"
    static let strict = "game.areaHandler.strict"
    static let plain = "game.areaHandler.plain"

    static let server: JSON = [
        "onMove": ["required uInt32 id": 1, "optional string who": 2],
        "game.areaHandler.echo": ["optional uInt32 code": 1, "optional uInt32 x": 2, "optional string s": 3],
        "game.areaHandler.strict": ["required string name": 1],
    ]
    static let client: JSON = [
        "game.areaHandler.echo": ["optional uInt32 x": 2, "optional string s": 3],
        "game.areaHandler.strict": ["optional uInt32 x": 1],
        "game.areaHandler.plain": ["repeated sInt32 list": 1],
    ]
    /// The same with other tags.
    static let newServer: JSON = [
        "onMove": ["required uInt32 id": 7],
        "game.areaHandler.echo": ["optional uInt32 code": 1, "optional uInt32 x": 9],
    ]
    static let newClient: JSON = ["game.areaHandler.echo": ["optional uInt32 x": 9]]

    static var options: HybridOptions {
        var options = HybridOptions()
        options.protobuf = .schemas(server: server, client: client)
        return options
    }

    /// A handshake that names a version of the schemas.
    static func handshake(_ version: String?) -> Bytes {
        var sys: JSONObject = ["type": "js-websocket", "version": "0.0.1"]
        sys["protoVersion"] = version.map { .string($0) } ?? 0
        let body = JSON.object(["sys": .object(sys)]).encoded()
        return [1, 0, 0, UInt8(body.count)] + body
    }
}

/// A configuration folder that a test writes, with an environment of its own.
struct SchemaFolder: ~Copyable {
    let path = NSTemporaryDirectory() + "pomelo-schemas-\(UInt64.random(in: 0 ... .max))"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ value: JSON) throws { try write(name, text: "\(value)") }

    func write(_ name: String, text: String) throws {
        let file = URL(filePath: path).appending(path: "\(name).json")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name).json") }

    var configuration: Configuration { Configuration(env: "testing", servers: [], folder: path) }
}
