// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
import PomeloJSON

/// How outside plugins are reached and admitted; the keys of `keel.json` are these names, of durations with `Seconds`
/// behind.
public struct KeelOptions: Sendable, Equatable, FileOptions {
    /// The file.
    public static let fileName = "keel"

    /// Admits registrations, and operators; without one nobody is admitted.
    ///
    /// At least 16 bytes.
    public var bootstrap: String?
    /// What callers must have in `dapr-api-token`, a plugin's own secret aside; nil: nothing.
    public var apiToken: String?
    /// What plugins are sent in `dapr-api-token`; nil: nothing.
    public var appToken: String?
    /// Where plugins are that do not say so when they register: id → addresses.
    public var apps: [Text: [String]] = [:]
    /// What a plugin may ask of the platform that is not named in `grants`: `push`, `kick`, `read`.
    public var scopes = ["read"]
    /// The same for plugins by their ids.
    public var grants: [Text: [String]] = [:]
    /// The address that is listened on; loopback, because who reaches it is a caller.
    public var host = "127.0.0.1"
    /// Plugins that are registered at a time.
    public var maxPlugins = 256
    /// Bytes of a body, either way.
    public var maxBodyBytes = 4 << 20
    /// Time of a call, when the caller does not say another one.
    public var callDeadline = Duration.seconds(10)
    /// The longest that a caller may say.
    public var maxCallDeadline = Duration.seconds(30)
    /// How often each plugin is asked for its status.
    public var probeEvery = Duration.seconds(5)
    /// Time for an answer of `/v1/status`.
    public var probeDeadline = Duration.seconds(1)
    /// Calls of the platform's that a plugin may have at a time.
    public var maxCallbacksPerSecond = 200

    /// The defaults.
    public init() {}

    /// Reads what the file says over what is set.
    public mutating func read(_ reader: inout OptionReader) throws {
        bootstrap = try reader.string("bootstrap") ?? bootstrap
        apiToken = try reader.string("apiToken") ?? apiToken
        appToken = try reader.string("appToken") ?? appToken
        for (id, value) in try reader.object("apps") ?? [:] { apps[Text(id)] = try Self.texts(value, "apps", id) }
        for (id, value) in try reader.object("grants") ?? [:] { grants[Text(id)] = try Self.texts(value, "grants", id) }
        let scopes = try reader.strings("scopes")
        if !scopes.isEmpty { self.scopes = scopes }
        host = try reader.host("host") ?? host
        maxPlugins = try reader.int("maxPlugins", in: 1...4096) ?? maxPlugins
        maxBodyBytes = try reader.int("maxBodyBytes", in: 1024...(1 << 30)) ?? maxBodyBytes
        maxCallbacksPerSecond = try reader.int("maxCallbacksPerSecond", in: 1...1_000_000) ?? maxCallbacksPerSecond
        callDeadline = try reader.seconds("callDeadlineSeconds") ?? callDeadline
        maxCallDeadline = try reader.seconds("maxCallDeadlineSeconds") ?? maxCallDeadline
        probeEvery = try reader.seconds("probeEverySeconds") ?? probeEvery
        probeDeadline = try reader.seconds("probeDeadlineSeconds") ?? probeDeadline
    }

    private static func texts(_ value: JSON, _ key: String, _ id: String) throws -> [String] {
        if let text = value.string { return [text] }
        let texts = value.array?.compactMap(\.string)
        guard let texts, texts.count == value.array?.count else {
            throw PomeloError(.configuration, "keel.json: \(key).\(id) is no text or list of texts")
        }
        return texts
    }
}

extension KeelOptions {
    /// What a plugin may ask of the platform.
    public static let allScopes = ["push", "kick", "read"]
    static let minBootstrapBytes = 16

    /// - Throws: `PomeloError` `.configuration`.
    func check() throws {
        func wrong(_ what: String) -> PomeloError { PomeloError(.configuration, "keel.json: \(what)") }
        if let bootstrap, bootstrap.utf8.count < Self.minBootstrapBytes {
            throw wrong("bootstrap has less than \(Self.minBootstrapBytes) bytes, and could be guessed")
        }
        for (id, addresses) in apps {
            guard PluginID.checked(id.string) != nil else { throw wrong("apps: \"\(id)\" is no id of a plugin") }
            for address in addresses where PluginAddress(address) == nil {
                throw wrong("apps.\(id): \"\(address)\" is no address like http://host:port")
            }
        }
        for scope in scopes + grants.values.joined() where !Self.allScopes.contains(scope) {
            throw wrong("there is no scope \"\(scope)\"; there are \(Self.allScopes.joined(separator: ", "))")
        }
        guard callDeadline <= maxCallDeadline else { throw wrong("callDeadline is more than maxCallDeadline") }
        guard probeDeadline < probeEvery else { throw wrong("probeDeadline must be less than probeEvery") }
    }
}
