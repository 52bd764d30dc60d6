// SPDX-License-Identifier: MIT
public import PomeloLoop

/// The connections of one server at one moment, counted from its sessions, so that nothing can drift.
///
/// - Source: pomelo 2.2.7, lib/common/service/connectionService.js; there a refused connection was never given back,
///   and a user with two sessions vanished with the first.
public struct ConnectionStatistics: Sendable, Equatable {
    /// One bound session.
    public struct Login: Sendable, Equatable {
        /// The user it is bound to; one with several sessions is listed with each.
        public let uid: UserID
        /// The session's id at this server.
        public let session: SessionID
        /// When it was bound, in milliseconds since 1970.
        public let loginTime: Int64
        /// Where the client connects from.
        public let address: SocketAddress
    }

    /// The server that counted.
    public let serverID: ServerID
    /// Sessions that are open, bound or not.
    public let totalConnections: Int
    /// Connections refused since the start.
    public let refusedConnections: Int
    /// Bound sessions, oldest binding first.
    public let logins: [Login]
}

extension Application {
    /// Who is connected here now.
    ///
    /// - Complexity: walks the bound sessions.
    public var connectionStatistics: ConnectionStatistics {
        let logins = sessionService.bound.compactMap { session in
            session.uid.map { uid in
                ConnectionStatistics.Login(
                    uid: uid, session: session.id, loginTime: session.boundAt ?? 0, address: session.address)
            }
        }
        return ConnectionStatistics(
            serverID: serverID, totalConnections: sessionService.count, refusedConnections: sessionService.refused,
            logins: logins.sorted { ($0.loginTime, $0.session) < ($1.loginTime, $1.session) })
    }
}
