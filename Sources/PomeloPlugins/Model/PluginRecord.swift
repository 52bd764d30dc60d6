// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloCore
import PomeloJSON

/// What the registry has of a plugin.
public struct PluginRecord: Sendable, Hashable {
    /// While a registration is under way: until when, and who asks the newcomer meanwhile.
    struct Trial: Sendable, Hashable {
        /// Unix milliseconds, by the clock of Redis.
        var until: Int64
        /// The main plugin that looks at the newcomer, and may call it.
        var examiner: PluginID?
    }

    /// What it says of itself.
    public var identity: PluginIdentity
    /// Another one for each registration: tokens of former ones are void.
    public var registration: String
    /// Unix milliseconds.
    public var registeredAt: Int64
    /// SHA-256 of its secret, in hexadecimal digits.
    var secretHash: String
    /// `http://host:port`, and perhaps a path.
    public var addresses: [String]
    /// Whether it serves.
    public var status: PluginStatus
    /// Why it does not; empty when it does.
    public var reason: String
    /// Bindings that do not count because their owner is not there, or is no version for them.
    public var suspended: Set<PluginID> = []
    /// What it may ask of the platform.
    public var scopes: [String] = []
    var trial: Trial?

    /// Its id.
    public var id: PluginID { identity.id }

    /// 256 random bits as text, and what is kept of them.
    static func secret(_ bytes: [UInt8]) -> (text: String, hash: String) {
        let text = bytes.hexadecimal
        return (text, hash(text))
    }

    /// A secret of 256 random bits needs no slow hash.
    static func hash(_ secret: String) -> String { [UInt8](SHA256.hash(data: Bytes(secret.utf8))).hexadecimal }
}

extension [UInt8] {
    /// Two digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension PluginRecord {
    /// As Redis has it.
    var json: JSON {
        var object: JSONObject = [
            "identify": identity.json, "registration": .string(registration), "at": .int(registeredAt),
            "secret": .string(secretHash), "urls": .array(addresses.map { .string($0) }),
            "status": .string(status.rawValue), "reason": .string(reason),
        ]
        if !suspended.isEmpty { object["suspended"] = .array(suspended.sorted().map(\.json)) }
        if !scopes.isEmpty { object["scopes"] = .array(scopes.map { .string($0) }) }
        if let trial {
            object["trial"] = ["until": .int(trial.until), "by": trial.examiner.map(\.json) ?? .null]
        }
        return .object(object)
    }

    /// Nil for what cannot be read: an entry of a newer version, or none of ours.
    init?(_ value: JSON) {
        guard let identify = value["identify"], let registration = value["registration"]?.string,
            let registeredAt = value["at"]?.int, let secretHash = value["secret"]?.string,
            let addresses = value["urls"]?.array?.compactMap(\.string), let status = PluginStatus(value["status"])
        else { return nil }
        do throws(PluginAnswer) { identity = try PluginIdentity(identify) } catch { return nil }
        self.registration = registration
        self.registeredAt = registeredAt
        self.secretHash = secretHash
        self.addresses = addresses
        self.status = status
        reason = value["reason"]?.string ?? ""
        suspended = Set((value["suspended"]?.array ?? []).compactMap { $0.string.map { PluginID($0) } })
        scopes = (value["scopes"]?.array ?? []).compactMap(\.string)
        if let until = value["trial"]?["until"]?.int {
            trial = Trial(until: until, examiner: value["trial"]?["by"]?.string.map { PluginID($0) })
        }
    }
}

/// A further address of a plugin, for as long as the plugin says that it is there.
struct PluginLease: Sendable, Hashable {
    let id: PluginID
    let address: String
    /// Unix milliseconds, by the clock of Redis.
    var until: Int64
}
