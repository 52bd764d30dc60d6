// SPDX-License-Identifier: MIT
import PomeloTLS

/// What `tls` of redis.json says: `true`, or what is believed: `{"ca": "ca.pem", "serverName": "redis.example"}`.
struct TLSEntry: Decodable {
    /// Nil for false.
    var options: TLSClientOptions?

    private enum Key: String, CodingKey { case ca, certificate, key, serverName, verify }
    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }

    init(from decoder: any Decoder) throws {
        do {
            options = try decoder.singleValueContainer().decode(Bool.self) ? TLSClientOptions() : nil
            return
        } catch is DecodingError {}
        let names = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
        if let unknown = names.first(where: { Key(rawValue: $0) == nil }) {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "no such key: \(unknown)"))
        }
        let keyed = try decoder.container(keyedBy: Key.self)
        var options = TLSClientOptions()
        options.authorityFile = try keyed.decodeIfPresent(String.self, forKey: .ca)
        options.certificateFile = try keyed.decodeIfPresent(String.self, forKey: .certificate)
        options.keyFile = try keyed.decodeIfPresent(String.self, forKey: .key)
        options.serverName = try keyed.decodeIfPresent(String.self, forKey: .serverName)
        options.verifiesServer = try keyed.decodeIfPresent(Bool.self, forKey: .verify) ?? true
        self.options = options
    }
}
