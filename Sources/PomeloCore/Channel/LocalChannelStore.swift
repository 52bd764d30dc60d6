// SPDX-License-Identifier: MIT
public import PomeloLoop

/// Sets of texts by key, where the channels of one process outlive it.
///
/// Keys and values are those of pomelo: `prefix:server` has the keys of the server's channels, and each of these,
/// `prefix:server:channel`, its members, `frontend:user`. One call is made at a time, and each may be repeated.
///
/// - Source: pomelo 2.2.7, lib/common/service/channelService.js, option `store`.
@Loop public protocol LocalChannelStore: AnyObject {
    /// Adds values to a key's set; those it has are fine.
    func add(_ values: [String], to key: String) async throws
    /// Removes values from a key's set; those it has not are fine.
    func remove(_ values: [String], from key: String) async throws
    /// All values of a key, in any order; none when there is no such key.
    func load(_ key: String) async throws -> [String]
    /// Removes a key with all its values.
    func removeAll(_ key: String) async throws
}

/// A user at a frontend, as a store keeps it.
struct ChannelMember: Hashable {
    let uid: UserID
    let frontend: ServerID

    init(uid: UserID, frontend: ServerID) {
        self.uid = uid
        self.frontend = frontend
    }

    /// Cut at the first colon: a server id has none, a user id may.
    init?(_ text: String) {
        // Among the bytes: the colon and a mark that begins the user id are one character.
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        frontend = ServerID(String(text[..<colon]))
        uid = UserID(String(text[text.utf8.index(after: colon)...]))
    }

    var text: String { "\(frontend):\(uid)" }
}
