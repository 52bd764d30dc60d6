// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// A program of this package as real processes: one per server, on free ports, with a Redis of their own.
@Loop final class ServerProcesses {
    /// One server's process and what it has written.
    @Loop final class Server {
        let id: String
        fileprivate(set) var lines: [String] = []
        fileprivate(set) var status: ChildProcess.Ending?
        fileprivate var child: ChildProcess?

        init(id: String) { self.id = id }

        func signal(_ number: Int32) { child?.signal(number) }

        /// SIGSTOP, and waits until no thread runs: on a busy machine the others go on until one has taken the signal.
        func freeze() async throws {
            signal(SIGSTOP)
            let tasks = "/proc/\(pid)/task"
            try await eventually("\(id) stands still", every: .milliseconds(1)) {
                try FileManager.default.contentsOfDirectory(atPath: tasks).allSatisfy { task in
                    // A thread may end between the listing and the look.
                    guard let text = try? String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8),
                        let name = text.lastIndex(of: ")")
                    else { return true }
                    return text[name...].hasPrefix(") T")
                }
            }
        }

        func thaw() { signal(SIGCONT) }
        var pid: Int32 { child?.pid ?? 0 }
    }

    static let network = UVNetwork()
    let program: String
    let redis: RedisServer
    let folder: String
    private(set) var servers: [String: Server] = [:]
    /// Client port by server id.
    private(set) var clientPorts: [String: Int] = [:]
    var environment: [String: String] = [:]

    private init(program: String, redis: RedisServer, folder: String) {
        self.program = program
        self.redis = redis
        self.folder = folder
    }

    /// Starts every server of a configuration folder of the project and waits until all are up.
    static func start(_ program: String, config: String) async throws -> ServerProcesses {
        let processes = try await prepare(program, config: config)
        try await processes.startAll()
        return processes
    }

    /// Redis, with further arguments, and configuration files only.
    static func prepare(
        _ program: String, config: String, redis options: [String] = []
    ) async throws -> ServerProcesses {
        let redis = try await RedisServer.start(options: options)
        let folder = NSTemporaryDirectory() + "pomelo-\(program)-\(redis.port)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let processes = ServerProcesses(program: program, redis: redis, folder: folder)
        try await processes.writeConfiguration(from: config)
        return processes
    }

    var ids: [String] { servers.keys.sorted() }
    subscript(_ id: String) -> Server { servers[id] ?? Server(id: id) }

    // MARK: configuration

    static func root() -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }

    private func writeConfiguration(from config: String) async throws {
        for name in ["servers", "master"] {
            var section = try read("\(Self.root())/\(config)/\(name).json")["development"] ?? .null
            section = try await freshPorts(section)
            try write(name, ["development": section])
        }
        try write("redis", ["development": ["host": "127.0.0.1", "port": .int(Int64(redis.port))]])
    }

    func read(_ path: String) throws -> JSON {
        try JSON.parse(Bytes(try Data(contentsOf: URL(fileURLWithPath: path))))
    }

    func write(_ name: String, _ value: JSON) throws {
        try Data(value.encoded()).write(to: URL(fileURLWithPath: "\(folder)/\(name).json"))
    }

    /// Replaces every port by a free one; notes the servers.
    private func freshPorts(_ value: JSON) async throws -> JSON {
        switch value {
        case .array(let items):
            var fresh: [JSON] = []
            for item in items { fresh.append(try await freshPorts(item)) }
            return .array(fresh)
        case .object(var object):
            for key in object.keys {
                if key == "port" || key == "clientPort" {
                    object[key] = .int(Int64(try await TestPorts.next()))
                } else if let inner = object[key] {
                    object[key] = try await freshPorts(inner)
                }
            }
            if let id = object["id"]?.string {
                servers[id] = Server(id: id)
                clientPorts[id] = object["clientPort"]?.int.map(Int.init)
            }
            return .object(object)
        default: return value
        }
    }

    // MARK: processes

    /// The executables lie beside the test runner.
    static var binaries: String {
        let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let beside = URL(fileURLWithPath: runner).deletingLastPathComponent().path
        return ProcessInfo.processInfo.environment["POMELO_BIN"]
            ?? (FileManager.default.fileExists(atPath: beside + "/Chat") ? beside : root() + "/.build/debug")
    }

    func startAll() async throws {
        for id in ids { try launch(id) }
        for id in ids { try await awaitUp(id) }
    }

    /// What a server is started through, so that it does not outlive the tests.
    private static let leash = ["/usr/bin/setpriv", "--pdeathsig", "KILL"]

    /// Starts one server process, under another name in this list if need be, with so many descriptors if that is said;
    /// also again after it has ended.
    func launch(
        _ id: String, as name: String? = nil, arguments: [String]? = nil, descriptors: Int? = nil
    ) throws {
        let server = Server(id: id)
        servers[name ?? id] = server
        let path = "\(Self.binaries)/\(program)"
        let words = arguments ?? ["--env", "development", "--id", id, "--config", folder]
        let limit = descriptors.map { ["/usr/bin/prlimit", "--nofile=\($0):\($0)"] } ?? []
        let line = Self.leash + limit + [path] + words
        server.child = try ChildProcess(
            ChildProcess.Command(line[0], Array(line.dropFirst()), environment: environment),
            onLine: { server.lines.append($0) }, onExit: { server.status = $0 })
    }

    /// Whether a process runs; one that nobody has waited for yet does not.
    static func runs(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let name = text.lastIndex(of: ")")
        else { return false }
        return !text[name...].hasPrefix(") Z")
    }

    func awaitUp(_ id: String) async throws {
        let server = self[id]
        try await eventually("\(id) is up", within: .seconds(30)) {
            if let status = server.status {
                throw Unmet(description: "\(id) ended \(status): \(server.lines.suffix(5))")
            }
            return server.lines.contains("up \(id)")
        }
    }

    /// Waits until a server's process has ended, and how.
    func awaitExit(_ id: String, within limit: Duration = .seconds(15)) async throws -> ChildProcess.Ending {
        let server = self[id]
        try await eventually("\(id) ends", within: limit) { server.status != nil }
        return server.status ?? .exited(-1)
    }

    /// Stops everything in order and says what did not exit with 0.
    func stop() async throws {
        for server in servers.values where server.status == nil && server.child != nil {
            server.signal(SIGCONT)
            server.signal(SIGTERM)
        }
        for (id, server) in servers where server.child != nil { _ = try await awaitExit(id) }
        await redis.stop()
        try FileManager.default.removeItem(atPath: folder)
    }

    // MARK: clients

    func connect(_ id: String, as transport: TestClient.Transport = .tcp) async throws -> TestClient {
        let address = SocketAddress(host: "127.0.0.1", port: clientPorts[id] ?? 0)
        let client = try await TestClient.connect(to: address, over: Self.network, as: transport)
        _ = try await client.handshake()
        return client
    }

    /// A client that is in a room, at a connector.
    func enter(_ name: String, _ room: String, at id: String) async throws -> TestClient {
        let client = try await connect(id)
        let reply = try await client.request(
            "connector.entryHandler.enter", ["username": .string(name), "rid": .string(room)])
        guard reply["users"] != nil else { throw Unmet(description: "\(name) was answered \(reply)") }
        return client
    }

    /// The set of a key in Redis, as another client sees it.
    func redisSet(_ key: String) async throws -> [String] {
        let answer = try await redisCommand(["SMEMBERS", key])
        return answer.split(separator: "\n").map(String.init).filter { !$0.isEmpty }.sorted()
    }

    /// Whether each key holds exactly these members.
    func redisHolds(_ expected: [String: [String]]) async throws -> Bool {
        for (key, members) in expected where try await redisSet(key) != members { return false }
        return true
    }

    /// The answer of redis-cli.
    func redisCommand(_ words: [String]) async throws -> String {
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let cli = try ChildProcess(
            ChildProcess.Command("redis-cli", ["-p", "\(redis.port)"] + words), onLine: { lines.append($0) },
            onExit: { status = $0 })
        _ = cli.pid
        try await eventually("redis-cli answers") { status != nil }
        return lines.joined(separator: "\n")
    }
}

/// How long a piece of work took.
@Loop func timed<T>(_ body: @Loop () async throws -> T) async rethrows -> (value: T, took: Duration) {
    let start = SystemClock.shared.now
    let value = try await body()
    return (value, .nanoseconds(Int64(SystemClock.shared.now - start)))
}
