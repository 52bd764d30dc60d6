// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloLibc
public import PomeloLoop
public import PomeloRedis
import PomeloSupervision
import PomeloUV

// Reading order: RedisServer (one process), +Commands (what is said to it), RedisTLS, RedisSentinels,
// RedisClusterServers, +Slots.

/// A real `redis-server` of a test's own, on a free port of 127.0.0.1; it does not outlive this process.
@Loop public final class RedisServer {
    /// What the process is, beside a server of data.
    enum Kind {
        case data
        /// Its options are in a file, for sentinels change them as they go.
        case watched
        case sentinel
        /// With a second port, for the nodes' own connections.
        case clusterNode
    }

    /// The port, the same through all restarts.
    public private(set) var port = 0
    /// The nodes' own port, of a node of a cluster.
    public private(set) var busPort = 0
    /// The same server by the path of its Unix-domain socket; sentinels have none.
    public var socketPath: String { "\(folder ?? "")/redis.sock" }
    /// Whether there is a process, frozen or not.
    public var isRunning: Bool { process?.pid != nil }
    /// Whether the process is frozen.
    public private(set) var isPaused = false

    /// How `command` proves who it is; to be changed with what the server asks for.
    public var login: RedisLogin?
    /// With which files it speaks TLS, if it does; what is changed here counts from the next `restart` on.
    public var tls: RedisTLS?
    private let kind: Kind
    private let persistent: Bool
    private let options: [String]
    private var folder: String?
    private var process: ManagedProcess?
    /// Why there is no process, or which are its last lines.
    private var trouble = ""

    /// Whether `redis-server` can be started at all; tests that need it are skipped otherwise.
    public static func isInstalled() async -> Bool {
        await withCheckedContinuation { continuation in
            do throws(NetworkError) {
                _ = try ChildProcess(
                    ChildProcess.Command("redis-server", ["--version"]),
                    onExit: { continuation.resume(returning: $0 == .exited(0)) })
            } catch {
                continuation.resume(returning: false)
            }
        }
    }

    /// Starts a server; `options` are further arguments, for instance `["--requirepass", "secret"]`.
    ///
    /// A persistent one logs every write to an append-only file and has its data back after `restart`. With `tls`, the
    /// port speaks nothing else.
    ///
    /// - Throws: `NetworkError` with the last lines of its log when it does not come up.
    public static func start(
        persistent: Bool = false, options: [String] = [], tls: RedisTLS? = nil
    ) async throws(NetworkError) -> RedisServer {
        try await start(.data, persistent: persistent, options: options, login: nil, tls: tls)
    }

    static func start(
        _ kind: Kind, persistent: Bool = false, options: [String], login: RedisLogin?, tls: RedisTLS? = nil
    ) async throws(NetworkError) -> RedisServer {
        let server = RedisServer(kind, persistent: persistent, options: options, login: login, tls: tls)
        for _ in 0..<5 {
            server.port = try await TestPorts.next()
            if kind == .clusterNode { server.busPort = try await TestPorts.next() }
            if await server.launch() { return server }
            server.removeFolder()
        }
        throw server.failure
    }

    private init(_ kind: Kind, persistent: Bool, options: [String], login: RedisLogin?, tls: RedisTLS?) {
        self.kind = kind
        self.persistent = persistent
        self.options = options
        self.login = login
        self.tls = tls
    }

    /// A client configuration for this server, with short time-outs.
    public var configuration: RedisConfiguration {
        var configuration = RedisConfiguration(host: "127.0.0.1", port: port)
        configuration.username = login?.user
        configuration.password = login?.password
        configuration.tls = tls?.clientOptions
        return configuration
    }

    // MARK: faults

    /// Ends the server and removes its files.
    public func stop() async {
        await kill9()
        removeFolder()
    }

    /// Ends the server as a crash does.
    public func kill9() async {
        await process?.kill()
        isPaused = false
    }

    /// Starts it again on the same port, after killing it if it still runs; without persistence it is always empty.
    ///
    /// - Throws: `NetworkError` when it does not come up.
    public func restart(empty: Bool = false) async throws(NetworkError) {
        await kill9()
        if empty { removeFolder() }
        guard await launch() else { throw failure }
    }

    /// Freezes the process: connections stay open and nothing is answered.
    public func pause() {
        process?.signal(SIGSTOP)
        isPaused = isRunning
    }

    /// Lets a frozen process go on.
    public func resume() {
        process?.signal(SIGCONT)
        isPaused = false
    }

    // MARK: process

    /// The shell becomes the server, which the kernel ends with this process.
    private static let leash = """
        if command -v setpriv >/dev/null; then exec setpriv --pdeathsig KILL redis-server "$@"; fi
        exec redis-server "$@"
        """

    private static let patience = Duration.seconds(15)

    private func launch() async -> Bool {
        do {
            let folder = try await madeFolder()
            let words = kind == .watched || kind == .sentinel ? ["\(folder)/redis.conf"] : settings
            // Not in the file: what stands here counts, whatever that says.
            let secured = tls?.options(port, isNode: kind == .clusterNode) ?? []
            let more = (kind == .sentinel ? ["--sentinel"] : []) + ["--dir", folder] + secured
            let command = ChildProcess.Command("/bin/sh", ["-c", Self.leash, "redis"] + words + more)
            let plan = ProcessPlan("redis", .store, command, restarts: .never) {
                $0.contains("Ready to accept connections") || $0.contains("Sentinel ID is")
            }
            let process = ManagedProcess(plan, in: folder)
            self.process = process
            try process.start()
            await process.untilSettled(by: SystemClock.shared.deadline(after: Self.patience))
            if process.state == .up { return true }
            trouble = process.log.lastLines(6).joined(separator: "; ")
        } catch {
            trouble = "\(error)"
        }
        await kill9()
        return false
    }

    /// With a file of options, where they are in one.
    ///
    /// It is written once: what sentinels have changed in it holds after a restart.
    private func madeFolder() async throws -> String {
        if let folder { return folder }
        let script = "folder=$(mktemp -d) && printf '%s\n' \"$1\" >\"$folder/redis.conf\" && echo \"$folder\""
        let made = try await ChildProcess.run(.init("/bin/sh", ["-c", script, "redis", file]))
        guard made.ending == .exited(0), let folder = made.lines.last else {
            throw NetworkError(code: "EIO", description: made.lines.joined(separator: "; "))
        }
        self.folder = folder
        return folder
    }

    private var settings: [String] {
        var settings = ["--port", "\(port)", "--bind", "127.0.0.1"]
        if kind != .sentinel {
            settings += ["--save", "", "--appendonly", persistent ? "yes" : "no", "--enable-debug-command", "yes"]
            settings += ["--unixsocket", "redis.sock"]
        }
        if kind == .clusterNode { settings += ["--cluster-enabled", "yes", "--cluster-port", "\(busPort)"] }
        return settings + options
    }

    /// `--port 6379` is `port "6379"` there.
    private var file: String {
        var lines: [String] = []
        for word in settings {
            if word.hasPrefix("--") {
                lines.append(String(word.dropFirst(2)))
            } else {
                lines[lines.count - 1] += " \"\(word)\""
            }
        }
        return lines.joined(separator: "\n")
    }

    private func removeFolder() {
        guard let folder else { return }
        self.folder = nil
        Files.remove(folder)
    }

    private var failure: NetworkError {
        NetworkError(code: "ECHILD", description: "redis-server did not start: \(trouble)")
    }
}
