// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
import PomeloLoop

/// Who is in a channel: asked of the frontends, page by page.
extension GlobalChannelService {
    /// Names above this number are sorted off the loop.
    private static let longList = 4096

    /// The members at one frontend, asked there; from the published copy, marked stale, when it does not answer.
    public func getMembersBySid(_ channel: ChannelName, _ frontend: ServerID) async -> ChannelMembers {
        var result = ChannelMembers()
        do throws(RPCError) {
            result.uids = await Self.sorted(try await pages(channel, frontend))
        } catch let unreachable {
            do {
                result.uids = try await store.members(of: channel, at: frontend)
                result.stale = [frontend]
            } catch {
                result.failed[frontend] = unreachable
            }
        }
        return result
    }

    private func pages(_ channel: ChannelName, _ frontend: ServerID) async throws(RPCError) -> [UserID] {
        var members: [UserID] = []
        var next: UInt64 = 0
        repeat {
            var payload = PayloadWriter()
            payload.text(channel.rawValue)
            payload.number(next)
            let reply: Bytes
            do throws(RPCError) {
                reply = try await context.rpc.system(
                    frontend, .channelMembers, payload.bytes, within: context.limits.pushCall)
            } catch .unimplemented {
                // Without the service it has no members.
                return []
            }
            var reader = PayloadReader(reply)
            do {
                next = try reader.number()
                members += try reader.texts().map { UserID($0) }
            } catch {
                throw RPCError.failed(code: 500, message: error.message)
            }
        } while next != 0
        return members
    }

    /// The members at all frontends of a type; a user at two of them is listed once.
    ///
    /// - Guarantee: who is told gone by `tell` while this runs is not listed, or told after it.
    public func getMembersByChannelName(_ type: ServerType, _ channel: ChannelName) async -> ChannelMembers {
        var result = ChannelMembers()
        result.isIncomplete = !isViewComplete
        let parts = await withTaskGroup(of: ChannelMembers.self) { group in
            for frontend in frontends(type) {
                group.addTask { @Loop @Sendable in await self.getMembersBySid(channel, frontend) }
            }
            var parts: [ChannelMembers] = []
            for await part in group { parts.append(part) }
            return parts
        }
        var stale: Set<UserID> = []
        for part in parts {
            if part.stale.isEmpty { result.uids += part.uids } else { stale.formUnion(part.uids) }
            result.stale.formUnion(part.stale)
            result.failed.merge(part.failed) { first, _ in first }
        }
        // The published copy outlives the word that its members are gone. Who did not answer is not asked again.
        if !stale.isEmpty {
            let answering = frontends(type).filter { !result.stale.contains($0) && result.failed[$0] == nil }
            stale.subtract(await toldGone(channel, stale.subtracting(result.uids), at: answering))
        }
        result.uids = await Self.sorted(result.uids + stale)
        result.isIncomplete = result.isIncomplete || !isViewComplete
        return result
    }

    /// Each once, in order; long lists elsewhere, so that no turn is long.
    private static func sorted(_ uids: [UserID]) async -> [UserID] {
        guard uids.count > longList else { return Set(uids).sorted() }
        do {
            return try await offLoop { Set(uids).sorted() }
        } catch {
            // The threads have too much to do: a long turn is better than no answer.
            return Set(uids).sorted()
        }
    }
}
