// SPDX-License-Identifier: MIT
import PomeloLoop

extension TestCluster {
    /// Lets everything run that is ready; the bound ends a run that never comes to rest.
    public func settle(turns: Int = 40) async {
        for _ in 0..<turns { await Loop.yield() }
    }

    /// Moves time in steps, so that what each timer sets off happens before the next one.
    public func advance(by duration: Duration, step: Duration = .milliseconds(20)) async {
        await settle()
        let end = clock.deadline(after: duration)
        while clock.now < end {
            clock.advance(to: min(end, clock.deadline(after: step)))
            await settle(turns: 6)
        }
        await settle()
    }

    /// Waits until `ready` has a value: what takes no time happens first, then time is moved in steps.
    ///
    /// While jobs of `offLoop` are under way time stands still.
    ///
    /// - Throws: `TestClient.Failure` after `limit`, by the cluster's clock.
    @discardableResult
    public func wait<Value>(
        for what: String, within limit: Duration = .seconds(20), _ ready: () throws -> Value?
    ) async throws -> Value {
        if let value = try await time.wait(within: limit, ready) { return value }
        throw TestClient.Failure(description: "not within \(limit): \(what)")
    }

    /// Has the cluster's time pass by itself, as fast as the system's, until `stopAll`.
    ///
    /// For what no clock of a test can hold: a real Redis, a library with threads of its own. Time can still be moved
    /// beside that.
    public func followSystemTime() { time.followSystem() }
}
