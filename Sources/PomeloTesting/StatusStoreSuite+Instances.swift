// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloStatus

/// One server id, several instances: a cleaner or an instance that is late touches nothing of the next one.
extension StatusStoreSuite {
    /// What a clean-up of one instance finds of the next.
    func lateCleaner() async throws {
        let (old, before) = try await store()
        try await online(old, ["ann", "bob"])
        for uid: UserID in ["ann", "bob"] { _ = try await old.claim(uid, before, gone: nil) }
        let live = try await store("connector-2").store
        let (next, holder) = try await store()
        try await next.cleanUp("connector-1", instance: holder.instance) {}
        try await online(next, ["ann"])
        try expect("claimed again", try await next.claim("ann", holder, gone: nil), .granted)
        do {
            try await live.cleanUp("connector-1", instance: before.instance) {}
            throw SuiteFailure("a clean-up went on that was for another instance")
        } catch let error as PomeloError {
            try expect("the error", error.code, .replaced)
        }
        try expect("status of the next instance", try await live.areOnline(["ann", "bob"]), [true, false])
        try expect("its binding", try await live.holders(of: ["ann", "bob"]), [holder, nil])
        try expect("its users", try await next.publishedUsers(), ["ann"])
    }

    /// A clean-up that is overtaken in the middle.
    func successor() async throws {
        let (old, before) = try await store()
        let users = (0..<120).map { UserID("user-\($0)") }
        try await online(old, users)
        for uid in users { _ = try await old.claim(uid, before, gone: nil) }
        let live = try await store("connector-2").store
        let looks = Tally()
        do {
            try await live.cleanUp("connector-1", instance: before.instance) {
                looks.count += 1
                guard looks.count == 1 else { return }
                // It slept; meanwhile the server is back.
                let (next, holder) = try await self.store()
                try await next.cleanUp("connector-1", instance: holder.instance) {}
                for uid in users { _ = try await next.claim(uid, holder, gone: nil) }
                try await self.online(next, users)
            }
            throw SuiteFailure("a clean-up went on although the server is back")
        } catch let error as PomeloError {
            try expect("the error", error.code, .replaced)
        }
        let instances = try await live.holders(of: users).map { $0?.instance }
        try expect("the next instance's bindings", Set(instances), [instance(of: "connector-1")])
        try expect("its status", try await live.areOnline(users).contains(false), false)
    }

    /// What an instance writes that wakes up after its successor has begun.
    func lateInstance() async throws {
        let (old, before) = try await store()
        try await online(old, ["ann"], 7)
        let (next, holder) = try await store()
        try await next.cleanUp("connector-1", instance: holder.instance) {}
        try await online(next, ["bob"], 3)
        _ = try await next.claim("bob", holder, gone: nil)
        let (two, other) = try await store("connector-2")
        guard case .held(_, let token) = try await two.claim("bob", other, gone: nil) else {
            throw SuiteFailure("bob is not held")
        }
        for late: @Loop () async throws -> Void in [
            { try await self.online(old, ["cid"], 8) },
            { _ = try await old.claim("cid", before, gone: nil) },
            { _ = try await old.claim("bob", before, gone: token) },
        ] {
            do {
                try await late()
                throw SuiteFailure("a former instance wrote")
            } catch let error as PomeloError {
                try expect("the error", error.code, .replaced)
            }
        }
        try await old.release(["bob"])
        try expect("who is online", try await next.areOnline(["ann", "bob", "cid"]), [false, true, false])
        try expect("who is bound", try await next.holders(of: ["bob", "cid"]), [holder, nil])
        try expect("the index", try await next.publishedUsers(), ["bob"])
        try expect("the sequence", try await next.publishedSequence(), 3)
    }

    func slices() async throws {
        let (gone, holder) = try await store()
        let users = (0..<170).map { UserID("user-\($0)") }
        try await online(gone, users)
        _ = try await gone.claim("user-7", holder, gone: nil)
        let live = try await store("connector-2").store
        let looks = Tally()
        try await live.cleanUp("connector-1", instance: holder.instance) { looks.count += 1 }
        try expect("users left", try await live.areOnline(users).contains(true), false)
        try expect("bindings left", try await live.holders(of: ["user-7"]), [nil])
        try expect("looks at the token", looks.count >= 1, true)
    }
}
