// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloLoop

/// Challenges that nobody has answered yet; each can be answered once.
@Loop final class OpenLogins {
    struct Login {
        let user: String
        let clientNonce: String
        let end: UInt64
    }

    /// With a further one the oldest is forgotten.
    private static let most = 256
    private static let patience = Duration.seconds(30)
    /// A name that nobody has is answered like one that somebody has: its salt is always the same.
    private let key: SymmetricKey
    private let clock: any LoopClock
    private let random: RandomSource
    private var open: [(nonce: Text, login: Login)] = []

    init(_ clock: any LoopClock, _ random: RandomSource) {
        self.clock = clock
        self.random = random
        key = SymmetricKey(data: random.bytes(32))
    }

    var count: Int { open.count }

    /// A nonce for one answer.
    func begin(_ user: String, _ clientNonce: String) -> String {
        let now = clock.now
        open.removeAll { $0.login.end <= now }
        if open.count >= Self.most { open.removeFirst() }
        let nonce = random.instanceID() + random.instanceID()
        let end = clock.deadline(after: Self.patience)
        open.append((Text(nonce), Login(user: user, clientNonce: clientNonce, end: end)))
        return nonce
    }

    /// Whose answer this is; nil when it was given before, or too late.
    func take(_ nonce: String) -> Login? {
        guard let index = open.firstIndex(where: { $0.nonce == Text(nonce) }) else { return nil }
        let login = open.remove(at: index).login
        return login.end > clock.now ? login : nil
    }

    func salt(of stranger: String) -> Bytes {
        let code = HMAC<SHA256>.authenticationCode(for: Bytes(stranger.utf8), using: key)
        return Bytes(Bytes(code).prefix(PasswordHash.saltBytes))
    }
}
