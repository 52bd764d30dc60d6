// SPDX-License-Identifier: MIT
public import PomeloCron
import PomeloLoop

extension Application {
    /// Adds crons to this server; those of other servers are left out.
    ///
    /// - Throws: `PomeloError` `.configuration` when an id is there already, or, once it runs, when nothing
    ///   serves an action; then none is added.
    public func addCrons(_ added: [Cron]) throws { try crons.add(added) }

    /// Removes crons.
    ///
    /// A run under way goes on to its end. An id that is not there is logged.
    public func removeCrons(_ ids: [CronID]) { crons.remove(ids) }
}
