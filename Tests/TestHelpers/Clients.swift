// SPDX-License-Identifier: MIT
package import PomeloCore
import PomeloLoop
package import PomeloTesting
import Testing

extension TestCluster {
    /// A connected client, bound when it has a user id.
    package func client(_ frontend: ServerID, _ uid: UserID? = nil) async throws -> TestSocket {
        let socket = try #require(connect(frontend))
        if let uid { try await bind(socket, uid, frontend) }
        return socket
    }

    /// Binds a client's session at its frontend.
    package func bind(_ socket: TestSocket, _ uid: UserID, _ frontend: ServerID) async throws {
        try await self[frontend].sessionService.bind(try #require(socket.session).id, uid)
    }
}

extension TestSocket {
    /// The texts that were pushed to it, in order.
    package var texts: [String] { pushes.map { String($0.text.dropFirst().dropLast()) } }
}
