// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
import PomeloLoop

/// One identity in the whole cluster.
///
/// The store decides who holds a user id, by comparing and setting a token. A holder that cannot be asked may lose it
/// while it lives: it finds a revocation when it publishes, makes sure of its binding, and ends its session when
/// another has it.
extension StatusService: BindAuthority {
    /// A claim is decided within this time, or fails.
    private static let claimDeadline = Duration.milliseconds(1800)
    /// A holder that does not answer within this time is silent.
    static let askDeadline = Duration.milliseconds(500)

    /// What is known of a holder.
    private enum Standing {
        case holds
        /// Alive by the registry; this server does not see it, and cannot ask it.
        case unseen
        /// Its instance is no more, or it says that it does not hold the user id.
        case gone
        /// It does not answer, and may hold it yet.
        case silent
    }

    /// Claims a user id when the options refuse a second session.
    ///
    /// A holder that is gone by the registry, or denies it, or does not answer within 500 ms, loses the id.
    ///
    /// - Throws: `PomeloError` `.binding` when another session holds it; `.redisUnavailable` when that is not decided
    ///   within 1.8 s, at once when this server is isolated.
    public func claim(_ uid: UserID, for session: ClientSession) async throws {
        guard context.membership?.health != .isolated else {
            throw PomeloError(.redisUnavailable, "\(uid) cannot be claimed: this server is isolated")
        }
        guard context.sessions.get(byUid: uid).isEmpty, published.beginClaim(uid) else {
            throw Self.refused(uid)
        }
        defer {
            published.endClaim(uid)
            writer.kick()
        }
        let attempt = Attempt()
        do {
            let decided = try await context.clock.within(Self.claimDeadline) {
                self.published.undecided += 1
                defer { self.published.undecided -= 1 }
                await self.published.releaseHasEnded(uid)
                let verdict = try await self.decide(uid, self.holder(session.id), attempt)
                // Granted too late: nobody waits for it any more.
                if verdict == .ours, attempt.isOver { self.changed(uid) }
                return verdict == .ours
            }
            attempt.isOver = true
            guard let decided else { throw PomeloError(.redisUnavailable, "\(uid) could not be claimed in time") }
            if !decided { throw Self.refused(uid) }
        } catch {
            // It may have been claimed after all, and it is in the index: both go when the store answers again.
            published.note(uid)
            if let error = error as? PomeloError, error.code == .binding { throw error }
            throw PomeloError(.redisUnavailable, "\(uid) cannot be claimed: \(error)", cause: error)
        }
    }

    /// Gives a user id back in the background, unless another session here has it by then.
    public func release(_ uid: UserID, for session: ClientSession) { changed(uid) }

    /// Makes sure of the binding of a user who is here; the user's session ends when another server has it.
    ///
    /// A holder that cannot be asked is left alone, for two that cannot see each other would take it in turns: it has
    /// the user when it took the binding from here. Else the store may have gone back in time, and names a holder of
    /// yesterday: that is decided when it answers, or is gone.
    func reclaim(_ uid: UserID, isTaken: Bool) async throws -> Bool {
        guard let session = context.sessions.get(byUid: uid).first else { return true }
        let verdict = try await decide(uid, holder(session.id), Attempt(), sparesTheSilent: true)
        if !session.isOpen { changed(uid) }
        guard verdict != .ours, session.uid == uid, session.isOpen else { return true }
        if verdict == .undecided, !isTaken { return false }
        context.log.notice("\(uid) is bound elsewhere: its session here ends")
        context.sessions.kick(session.id, reason: "rebound")
        return true
    }

    /// Whether a session of this server has a user id, or may be about to get it.
    func holds(_ uid: UserID, _ id: SessionID) -> Bool {
        let session = context.sessions.get(id)
        return session?.uid == uid || session?.binding == true
    }

    func holder(_ session: SessionID) -> Holder {
        Holder(server: context.serverID, instance: context.instance, session: session)
    }

    /// Whose a user id is.
    private enum Verdict {
        /// Ours: nobody held it, or the holder has lost it.
        case ours
        case another
        /// The holder is known by the store only.
        case undecided
    }

    private func decide(
        _ uid: UserID, _ holder: Holder, _ attempt: Attempt, sparesTheSilent: Bool = false
    ) async throws -> Verdict {
        guard case .held(let other, let token) = try await store.claim(uid, holder, gone: nil) else { return .ours }
        switch try await standing(of: other, uid) {
        case .holds: return .another
        case .unseen: return .undecided
        case .gone: break
        case .silent:
            if sparesTheSilent { return .undecided }
            context.log.notice("\(other.server) does not answer for \(uid): its binding is void")
            try await store.revoke(uid, from: other.server)
        }
        if attempt.isOver { return .undecided }
        return try await store.claim(uid, holder, gone: token) == .granted ? .ours : .another
    }

    private func standing(of other: Holder, _ uid: UserID) async throws -> Standing {
        if other.server == context.serverID {
            return other.instance == context.instance && holds(uid, other.session) ? .holds : .gone
        }
        guard context.servers[other.server]?.instance == other.instance else {
            // The view may lag behind the registry, and who is not in it cannot be asked.
            let isAlive = try await context.membership?.isAlive(other.server, other.instance) ?? false
            return isAlive ? .unseen : .gone
        }
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        payload.number(other.session.rawValue)
        do throws(RPCError) {
            let answer = try await context.rpc.system(
                other.server, .statusHolds.at(other.instance), payload.bytes, within: Self.askDeadline)
            return answer.first == 1 ? .holds : .gone
        } catch let error where error.isReplaced {
            return .gone
        } catch {
            return .silent
        }
    }

    private static func refused(_ uid: UserID) -> PomeloError {
        PomeloError(.binding, "\(uid) is bound already")
    }
}

/// Whether somebody still waits for the outcome of a claim.
@Loop private final class Attempt {
    var isOver = false
}
