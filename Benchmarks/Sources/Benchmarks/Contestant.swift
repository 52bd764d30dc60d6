// SPDX-License-Identifier: MIT
import Foundation

/// A cluster of BenchServer processes, two connectors and two chats, with a Redis of its own.
struct Cluster {
    let connectors: [Child]
    let chats: [Child]
    let redis: Int
    let ports: [Int]
    let keelPorts: [Int]

    /// With a secret, chat servers serve plugins at two ports more; with an identity, clients come within TLS.
    init(
        _ place: Workplace, _ name: String, processExecutor: Bool, keelSecret: String? = nil,
        identity: Identity? = nil
    ) throws {
        redis = try place.startRedis(name)
        let config = place.folder.appendingPathComponent(name)
        let ports = try place.freePorts(9)
        try Self.write(config, name, ports, redis: redis, keelSecret, identity)
        func start(_ ids: [String]) throws -> [Child] {
            try ids.map { id in
                try place.start(
                    "\(name)-\(id)",
                    [place.program("BenchServer"), "--config", config.path, "--id", id]
                        + (processExecutor ? [] : ["--no-process-executor"]))
            }
        }
        chats = try start(["chat-server-1", "chat-server-2"])
        connectors = try start(["connector-server-1", "connector-server-2"])
        self.ports = Array(ports[..<2])
        keelPorts = Array(ports[7...])
        for child in chats + connectors { try child.awaitOutput("\nup \(child.name.dropFirst(name.count + 1))") }
    }

    var all: [Child] { connectors + chats }

    func stop() {
        for child in all { child.stop() }
    }

    private static func write(
        _ folder: URL, _ name: String, _ ports: [Int], redis: Int, _ keelSecret: String?, _ identity: Identity?
    ) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func clients(_ port: Int) -> String {
            let rest = #""port": \#(port), "tls": \#(identity != nil)}"#
            return #"{"type": "hybrid", \#(rest), {"type": "socketio", \#(rest)"#
        }
        let chats = [1, 2].map { number in
            #"{"id": "chat-server-\#(number)", "host": "127.0.0.1", "port": \#(ports[number + 3])"#
                + (keelSecret == nil ? "}" : #", "keelPort": \#(ports[number + 6])}"#)
        }
        let connectors = [1, 2].map { number in
            #"{"id": "connector-server-\#(number)", "host": "127.0.0.1", "port": \#(ports[number + 1]), "#
                + #""clients": [\#(clients(ports[number - 1]))], "bind": "127.0.0.1", "frontend": true}"#
        }
        var files = [
            "servers": #"{"connector": [\#(connectors.joined(separator: ", "))], "#
                + #""chat": [\#(chats.joined(separator: ", "))]}"#,
            "master": #"{"name": "\#(name)", "id": "master-server-1", "host": "127.0.0.1", "port": \#(ports[6])}"#,
            "redis": #"{"host": "127.0.0.1", "port": \#(redis)}"#,
            // Only with clients that offer it.
            "connector": #"{"compression": true}"#,
        ]
        if let identity {
            files["connector"] = #"{"compression": true, "tls": \#(identity.json)}"#
        }
        if let keelSecret { files["keel"] = #"{"bootstrap": "\#(keelSecret)"}"# }
        for (file, section) in files {
            try #"{"development": \#(section)}"#.write(
                to: folder.appendingPathComponent("\(file).json"), atomically: true, encoding: .utf8)
        }
    }
}

/// The C programs: two frontends and their backend.
struct CPrograms {
    let frontends: [Child]
    let backend: Child
    let ports: [Int]

    init(_ place: Workplace, _ name: String = "c", _ options: [String] = []) throws {
        let ports = try place.freePorts(3)
        func start(_ name: String, _ arguments: [String]) throws -> Child {
            let child = try place.start(name, [place.program("Reference")] + arguments)
            try child.awaitOutput("up")
            return child
        }
        backend = try start("\(name)-backend", ["backend", "\(ports[2])"])
        frontends = try [0, 1].map {
            try start("\(name)-frontend-\($0)", ["frontend", "\(ports[$0])", "\(ports[2])"] + options)
        }
        self.ports = Array(ports[..<2])
    }

    var all: [Child] { frontends + [backend] }

    func stop() {
        for child in all { child.stop() }
    }
}

/// All that are measured against each other, up at the same time.
struct Contestants {
    let place: Workplace
    /// The framework as it is by default.
    let plain: Cluster
    /// With `--no-process-executor`.
    let pooled: Cluster
    let c: CPrograms

    init(_ place: Workplace) throws {
        self.place = place
        plain = try Cluster(place, "plain", processExecutor: true)
        pooled = try Cluster(place, "pooled", processExecutor: false)
        c = try CPrograms(place)
    }
}
