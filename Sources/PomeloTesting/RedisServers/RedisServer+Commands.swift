// SPDX-License-Identifier: MIT
import PomeloLibc
public import PomeloLoop
import PomeloUV

/// How clients and other servers prove who they are to a `redis-server`.
public struct RedisLogin: Sendable, Hashable {
    /// The ACL user, which may do everything; without one, the default user.
    public var user: String?
    /// In no need of quoting: letters and digits.
    public var password: String

    /// A password, with a user of its own or for the default one.
    public init(user: String? = nil, password: String) {
        self.user = user
        self.password = password
    }

    /// What makes a server ask for it; with a user of its own, the default one is off.
    var options: [String] {
        guard let user else { return ["--requirepass", password] }
        return ["--user", "default", "off", "--user", user, "on", ">\(password)", "~*", "&*", "+@all"]
    }

    /// What a server says to the primary that it follows.
    var replicaOptions: [String] {
        ["--masterauth", password] + (user.map { ["--masteruser", $0] } ?? [])
    }
}

extension RedisServer {
    /// Gives a command by `redis-cli`, which shares nothing with the client under test.
    ///
    /// - Returns: the lines of the reply; elements of an array are one line each.
    /// - Throws: `NetworkError` with what it said: an error reply, no connection, or no answer within five seconds.
    @discardableResult
    public func command(_ words: String...) async throws(NetworkError) -> [String] { try await command(words) }

    /// Gives a command by `redis-cli`, as `command` with the words one by one does, and waits so long for the answer.
    ///
    /// - Throws: `NetworkError`.
    @discardableResult
    public func command(
        _ words: [String], patience: Duration = .seconds(5)
    ) async throws(NetworkError) -> [String] {
        let user = login?.user.map { ["--user", $0] } ?? []
        let command = ChildProcess.Command(
            "redis-cli", ["-e", "-h", "127.0.0.1", "-p", "\(port)"] + (tls?.commandOptions ?? []) + user + words,
            environment: login.map { ["REDISCLI_AUTH": $0.password] } ?? [:])
        let ending = FirstOutcome<ChildProcess.Ending>()
        var lines: [String] = []
        let child = try ChildProcess(command, onLine: { lines.append($0) }, onExit: { ending.end(with: $0) })
        let limit = SystemClock.shared.schedule(after: patience) { child.signal(SIGKILL) }
        let end = await ending.wait()
        SystemClock.shared.cancel(limit)
        guard end == .exited(0) else {
            let said = end == .signalled(Int(SIGKILL)) ? "no answer" : lines.joined(separator: "; ")
            throw NetworkError(code: "EPROTO", description: "\(words.joined(separator: " ")) at \(port): \(said)")
        }
        return lines
    }

    /// What `INFO` says under this name.
    ///
    /// - Throws: `NetworkError`.
    public func info(_ field: String) async throws(NetworkError) -> String? {
        Self.value(of: field, in: try await command("INFO"))
    }

    /// The value of a line `field:value`.
    static func value(of field: String, in lines: [String]) -> String? {
        lines.first { $0.hasPrefix(field + ":") }
            .map { $0.dropFirst(field.count + 1).filter { $0 != "\r" } }
    }

    /// Returns when `ready` holds; a failure to ask counts as no.
    ///
    /// - Throws: `NetworkError` named `ETIMEDOUT`, which says what did not come about, and what went wrong last.
    static func wait(
        for what: String, within limit: Duration = .seconds(20), _ ready: @Loop () async throws(NetworkError) -> Bool
    ) async throws(NetworkError) {
        let deadline = SystemClock.shared.deadline(after: limit)
        var last = ""
        while true {
            do throws(NetworkError) { if try await ready() { return } } catch { last = " (\(error))" }
            guard SystemClock.shared.now < deadline else {
                throw NetworkError(code: "ETIMEDOUT", description: "not within \(limit): \(what)\(last)")
            }
            await SystemClock.shared.sleep(for: .milliseconds(20))
        }
    }
}
