// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloUV

/// Ends processes when this one is gone, however it went.
///
/// It is a shell of its own session that reads from a pipe which of them run, and asks all of them to end when nobody
/// writes any more: in order of their stages, each with all its descendants, by force after 8 s. What is inherited by
/// it, a lock, is free only when nothing is left.
@Loop final class Keeper {
    private static let script = """
        trap '' TERM INT HUP
        known=' '
        while read -r word process; do
            case $word in
                +) known=" $process$known" ;;
                -) case $known in *" $process "*) known="${known%%" $process "*} ${known#*" $process "}" ;; esac ;;
            esac
        done
        signal() { for one in $known; do case $one in "$2":*) kill "-$1" "-${one#*:}" 2>/dev/null ;; esac; done; }
        lives() {
            for one in $known; do
                case $one in "$1":*) kill -0 "-${one#*:}" 2>/dev/null && return 0 ;; esac
            done
            return 1
        }
        for stage in 3 2 1 0; do
            signal CONT $stage
            signal TERM $stage
            left=80
            while lives $stage && [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
            signal KILL $stage
        done
        """

    private let inherited: [Int32]
    private let report: @Loop (String) -> Void
    private var child: ChildProcess?
    private var known: [Int32: ProcessPlan.Stage] = [:]
    private var ended = FirstOutcome<Void>()
    private var isOver = false

    init(inheriting descriptors: [Int32], report: @escaping @Loop (String) -> Void) throws(NetworkError) {
        inherited = descriptors
        self.report = report
        try start()
    }

    func add(_ pid: Int32, _ stage: ProcessPlan.Stage) {
        known[pid] = stage
        _ = child?.write(Self.line("+", pid, stage))
    }

    func remove(_ pid: Int32) {
        guard let stage = known.removeValue(forKey: pid) else { return }
        _ = child?.write(Self.line("-", pid, stage))
    }

    /// Ends the keeper, which ends what it still knows of.
    func end() async {
        isOver = true
        child?.closeInput()
        if child != nil { await ended.wait() }
    }

    private func start() throws(NetworkError) {
        var command = ChildProcess.Command("/bin/sh", ["-c", Self.script, "pomelo-keeper"])
        command.ownSession = true
        command.hasInput = true
        command.inherited = inherited
        child = try ChildProcess(command, onExit: { [weak self] _ in self?.didEnd() })
        for (pid, stage) in known { _ = child?.write(Self.line("+", pid, stage)) }
    }

    /// Somebody has ended it: another one takes its place.
    private func didEnd() {
        child = nil
        guard !isOver else { return ended.end() }
        do throws(NetworkError) {
            try start()
        } catch {
            report("nobody would end the servers if this process were gone: \(error)")
        }
    }

    private static func line(_ word: String, _ pid: Int32, _ stage: ProcessPlan.Stage) -> String {
        "\(word) \(stage.rawValue):\(pid)"
    }
}
