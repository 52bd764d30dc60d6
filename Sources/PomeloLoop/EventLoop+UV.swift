// SPDX-License-Identifier: MIT
public import CLibuv
import CPomelo
import PomeloLibc

/// The libuv side of the loop: its thread, its four handles, its one timer.
///
/// The timer fires nothing by itself. libuv runs timers before it polls, so after a pause of the process every deadline
/// would seem missed while the bytes that met it lie unread; `TimerGate` lets them pass after a poll.
///
/// Exactly one prepare and one check handle exist per loop, because libuv runs prepare handles last-started-first:
/// a second one would write before the first has run its jobs.
@safe public final class UVDriver: @unchecked Sendable {
    // SAFETY: all but `wake` (uv_async_send, thread-safe by its contract) is used on the loop thread.
    /// The loop, for the modules that own handles; loop thread only.
    public let loop: UnsafeMutablePointer<uv_loop_t>
    private let async: UnsafeMutablePointer<uv_async_t>
    private let prepare: UnsafeMutablePointer<uv_prepare_t>
    private let check: UnsafeMutablePointer<uv_check_t>
    private let idle: UnsafeMutablePointer<uv_idle_t>
    private let timer: UnsafeMutablePointer<uv_timer_t>
    private var idling = false
    private var timers = TimerGate()
    private var slab: UnsafeMutableRawBufferPointer

    init() {
        unsafe loop = .allocate(capacity: 1)
        unsafe async = .allocate(capacity: 1)
        unsafe prepare = .allocate(capacity: 1)
        unsafe check = .allocate(capacity: 1)
        unsafe idle = .allocate(capacity: 1)
        unsafe timer = .allocate(capacity: 1)
        unsafe slab = .allocate(byteCount: 65_536, alignment: 64)
        unsafe uv_loop_init(loop)
        unsafe uv_async_init(loop, async) { _ in EventLoop.shared.uv?.woken() }
        unsafe uv_prepare_init(loop, prepare)
        unsafe uv_check_init(loop, check)
        unsafe uv_idle_init(loop, idle)
        unsafe uv_timer_init(loop, timer)
    }

    /// One read buffer for all streams: libuv reads synchronously after asking for it.
    public var readSlab: UnsafeMutableRawBufferPointer { unsafe slab }

    func start(_ owner: EventLoop) {
        unsafe uv_prepare_start(prepare) { _ in EventLoop.shared.uv?.turn() }
        unsafe uv_check_start(check) { _ in EventLoop.shared.uv?.polled() }
        var thread = pthread_t()
        let context = unsafe Unmanaged.passUnretained(owner).toOpaque()
        let status = unsafe pthread_create(
            &thread, nil,
            { context in
                guard let context = unsafe context else { return nil }
                // `shared` is still being initialised on the creating thread: bind first, touch it only inside uv_run.
                unsafe pomelo_set_current_loop(context)
                pomelo_arm_backtrace()
                guard let driver = EventLoop.shared.uv else { return nil }
                while true { _ = unsafe uv_run(driver.loop, UV_RUN_DEFAULT) }
            }, context)
        precondition(status == 0, "the event loop thread could not be started, error \(status)")
        pthread_detach(thread)
    }

    func wake() { unsafe uv_async_send(async) }

    private func turn() {
        // The first turn comes before any poll.
        EventLoop.shared.noteWork()
        let workIsLeft = EventLoop.shared.beginTurn()
        Loop.inTurn { SystemClock.shared.arm() }
        let timersAreDue = timers.pollBegins(at: uv_hrtime)
        if workIsLeft || timersAreDue { keepTurning() } else { rest() }
        EventLoop.shared.noteRest()
    }

    /// When the poll ended, in libuv's milliseconds; loop thread only.
    var pollEnd: UInt64 { unsafe uv_now(loop) }

    private func woken() {
        EventLoop.shared.noteWork()
        EventLoop.shared.drain()
    }

    /// After the poll: the jobs of what was read come first, for they may cancel timers.
    private func polled() {
        EventLoop.shared.noteWork()
        EventLoop.shared.drain()
        guard let instant = timers.pollEnded(at: uv_hrtime) else { return }
        // What they start runs when the next turn begins, which is before the next poll.
        Loop.inTurn { SystemClock.shared.fire(until: instant) }
    }

    /// Makes the next poll return at once.
    private func keepTurning() {
        if idling { return }
        idling = true
        unsafe uv_idle_start(idle) { _ in }
    }

    private func rest() {
        guard idling else { return }
        idling = false
        unsafe uv_idle_stop(idle)
    }

    @Loop func armTimer(at deadline: UInt64?) {
        guard let deadline else {
            _ = unsafe uv_timer_stop(timer)
            return
        }
        // libuv counts whole milliseconds from its cached time, which a long callback leaves behind.
        unsafe uv_update_time(loop)
        let now = unsafe uv_now(loop)
        let due = deadline / 1_000_000 + (deadline % 1_000_000 == 0 ? 0 : 1)
        _ = unsafe uv_timer_start(
            timer, { _ in EventLoop.shared.uv?.timers.note() }, due > now ? due - now : 0, 0)
    }
}

extension EventLoop {
    /// `uv_hrtime`: monotonic nanoseconds.
    public var monotonicNanoseconds: UInt64 { uv_hrtime() }

    /// Unix time in milliseconds.
    public var wallMilliseconds: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    @Loop func armTimer(at deadline: UInt64?) { uv?.armTimer(at: deadline) }
}
