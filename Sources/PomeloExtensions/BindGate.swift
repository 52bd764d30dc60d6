// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop

/// Asks `before-bind` ahead of who decides about user ids: for every binding at this frontend, wherever it is asked
/// for.
@Loop final class BindGate: BindAuthority {
    private let extensions: ExtensionService
    private let server: ServerID
    /// Who decides after it, if somebody does.
    private let next: (any BindAuthority)?

    init(_ extensions: ExtensionService, _ server: ServerID, before next: (any BindAuthority)?) {
        self.extensions = extensions
        self.server = server
        self.next = next
    }

    func claim(_ uid: UserID, for session: ClientSession) async throws {
        let verdict = await extensions.ask(
            .beforeBind,
            [
                "sid": .init(session.id), "uid": .init(uid), "frontend": .init(server),
                "address": .string(session.address.host),
            ], key: uid.rawValue)
        switch verdict {
        // REENTRANCY: whether the session is still there is looked at by who asks.
        case .pass: try await next?.claim(uid, for: session)
        case .drop: throw PomeloError(.binding, "\(uid.rawValue.forLog) is refused")
        case .refuse(let why, _): throw PomeloError(.binding, "\(uid.rawValue.forLog) is refused: \(why)")
        }
    }

    func release(_ uid: UserID, for session: ClientSession) { next?.release(uid, for: session) }
}
