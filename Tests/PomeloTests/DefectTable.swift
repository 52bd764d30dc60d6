// SPDX-License-Identifier: MIT

/// What pomelo 2.2.7, its plugins and tKeel's platform got wrong, and this code could have repeated, with the tests
/// that show it has not.
///
/// In the form of `rowTable`.
let defectTable = """
    one application object for the whole process
        ServerFactsTests.regressionApplicationsOfOneProcessShareNothing
    an argument without = became a key without its last letter, and booleans stayed texts
        ServerFileTests.aWordThatIsNoArgumentIsNamed
        ServerFileTests.pomelosFormAndFlagsSayTheSame
    frontend as a boolean made a record neither frontend nor backend, and the master was a backend
        ServerFileTests.frontendAsBooleanOrTextIsAFrontendAndTheMasterIsNeither
    a null in a clusterCount record crashed
        ServerFileTests.regressionAFieldOfAShorthandRecordMayBeNull
    an answer that was no MQTT message destroyed its client's connection
        MQTTMessageTests.answersThatAreMessagesArePublishedAndOthersAreNot
    two MQTT clients with the same message id got each other's answers
        MQTTMessageTests.twoClientsMayHaveTheSameIDs
    a second CONNECT of MQTT was a second session on the same connection
        MQTTLimitTests.endsTheConnection
    MQTT messages of QoS 2 were never confirmed, and an UNSUBSCRIBE was not answered
        MQTTMessageTests.aMessageOfQoS2IsHandedOnOnce
        MQTTMessageTests.withoutARouteEverythingIsGranted
    an MQTT client's keep-alive was ignored
        MQTTLimitTests.silenceEndsTheConnection
    a component could be loaded under another name than its own
        PluginTests.aDuplicateComponentIsRefusedBeforeItIsMade
    the factory of a duplicate component had run before it was refused
        PluginTests.aDuplicateComponentIsRefusedBeforeItIsMade
    the heartbeats of udpconnector were milliseconds taken for seconds
        UDPConnectorTests.silenceEndsAClientAndItIsTold
    peers of udpconnector that never acknowledged stayed for ever
        UDPConnectorTests.whoNeverAcknowledgesIsForgotten
    a compressed route crashed udpconnector
        UDPConnectorTests.routesTravelAsCodes
    two packages in one datagram ended the client
        UDPConnectorTests.oneDatagramHoldsSeveralPackages
    a plugin used without options crashed (0.8)
        PluginTests.optionsAreOptional
    a plugin used twice heard every event twice
        PluginTests.aPluginIsUsedOnceAndBeforeTheStart
    methods of classes were never bound to events
        PluginTests.theExamplePluginKeepsTimeOfUsers
    misspelled options were ignored
        PluginTests.wrongOptionsAreNamed
        ConfigurationTests.regression13UnknownOptionsAreRefused
    a second start while starting ran everything twice
        ApplicationTests.regressionAStartDuringAStartRunsNothingTwice
    a failed start left the process half started, or called it started
        ApplicationTests.anErrorWhileStartingStopsWhatWasStarted
    a start that never called back hung in silence
        LifecycleTests.aStartThatNeverEndsIsAnErrorByItsDeadline
    a server that started twice stood for one that never did, in start_all
        LifecycleTests.afterStartAllWaitsForTheExpectedIdsAndComesOnce
    a server that came later never heard of start_all
        LifecycleTests.afterStartAllWaitsForTheExpectedIdsAndComesOnce
    components stopped in the order in which they had started
        ApplicationTests.componentsStartInOrderAndStopInReverse
    every stop was cut after 3 s
        LifecycleTests.aStopThatNeverEndsIsLeftBehindByItsDeadline
        LifecycleTests.aHookBeforeTheShutdownHasTheTimeThatTheLimitsSay
    a stop that was not forced never ended, and the RPC client was never stopped
        ApplicationTests.requestStopOfARunningApplicationStopsItOnce
        StartStopTests.aHundredApplicationsLeaveNothingBehind
    unbind_session had lost the user
        EventTests.sessionEventsCarryTheUserToTheEnd
    remove_servers was raised for servers nobody knew, and documented as carrying records
        EventTests.serverEventsCarryRecordsAndRemovalsIds
        RouterTests.changesAreAnnouncedWhenTheyMatterToRouting
    getServerFromConfig of an unknown id threw
        ServerFactsTests.anApplicationKnowsWhatItIs
    getServersByType handed out its own list, or nothing
        ServerFactsTests.theServersThatAreThereAreListedAlikeEverywhere
    a type that was gone stayed listed
        ServerFactsTests.regressionATypeThatIsGoneIsNotListed
    a server that came back as another type stayed in the old one's list
        ServerFactsTests.regressionAServerIsOfOneTypeAtATime
    lists in the order of registration sent one user to different servers, and nearly all elsewhere with one more
        RouterTests.aServerMoreMovesOnlyItsOwnShareOfUsers
    all sessions without a user went to the first server
        RouterTests.regressionSessionsWithoutAUserAreSpread
    a late word that a server is gone took its successor out
        JoinTests.aReplacedInstanceIsTold
        ReaperTests.aReaperThatWakesLateTouchesNothing
    inherited methods of a handler could be called, and never answered
        DispatchTests.regressionOnlyRegisteredMethodsCanBeCalled
        DispatchTests.theConstructorTrickEndsTheSession
    a route without a dot was never answered
        DispatchTests.aRouteThatIsNotWholeIsRefused
    the elements of an array became the arguments of a handler
        DispatchTests.answers
    a handler or filter that never called next kept its request for ever
        DispatchTests.aHandlerThatNeverReturnsIsAnsweredAtItsDeadlineOnce
        FilterTranscripts.a before-filter that never returns is answered at the deadline
        FilterTranscripts.a backend's filter that never returns is answered at the deadline
    a handler that called next twice ran the rest twice
        DispatchTests.aHandlerThatNeverReturnsIsAnsweredAtItsDeadlineOnce
    an exception of a handler or filter left the request unanswered, and skipped the after-filters
        FilterTests.anErrorOfABeforeSkipsTheRestAndAftersStillRun
        FilterTranscripts.an error of a handler goes on through after-filters
    an after-filter that passed nothing on cleared the error
        FilterTranscripts.an error stays unless an after-filter replaces it
    global after-filters ran when the answer had left
        FilterTranscripts.a global after-filter may change the answer of another server
    the global error handler was not asked about handlers and forwarding
        FilterTranscripts.the global error handler is asked about what a handler's error handler left
    serial knew sessions by their number alone, so that those of two frontends waited for each other
        SerialFilterTests.sessionsOfDifferentFrontendsNeverWaitForEachOther
    the queues of serial were never freed at backends
        SerialFilterTests.requestsOfASessionRunOneAfterTheOther
        SerialFilterTests.aRefusedRequestGivesItsTurnBack
    timeout only logged, and kept requests whose after-filter never ran
        BuiltInFilterTests.aLateRequestIsAnsweredAtTheFiltersDeadlineAndCancelled
    toobusy as a whole filter failed every request
        BuiltInFilterTests.aLaggingLoopRefusesRequestsUntilItHasCaughtUp
    calls under way at once shared the marks of rpc filters
        RPCFilterTests.callsUnderWayAtOnceShareNothing
        BuiltInFilterTests.rpcLogTimesEachCallByItself
    an error of a subclass was taken for a server's id
        RPCFilterTests.anErrorOfAnyTypeRefusesTheCall
    rpc after-filters were skipped when a call failed
        RPCFilterTests.aftersSeeCallsThatFailed
    the rpc error handler could not answer
        RPCFilterTests.theErrorHandlerHasTheCallAndMayReply
    calls to unknown and dead servers, and refused ones, never called back
        RPCClientTests.regressionEveryCallEndsAndSaysWhy
        RPCFilterTests.anUnknownServerIsAnOutcomeAndNotSilence
        FaultTests.aCutAtAnyFrame
    the text of a remote's error was lost on its way
        RPCClientTests.regressionEveryCallEndsAndSaysWhy
        SessionTests.errorsOfTheFrontendKeepTheirKind
    calls before the start failed on a missing object
        CallTests.beforeTheStartNothingIsSent
    users named 0 or "" never counted as bound, and could not leave a channel
        SessionPolicyTests.regressionAUserNamedZeroIsAUserLikeOthers
        SessionTests.bindingIsByTextAndOnce
    lists that changed while they were walked spared every other session of a user from a kick
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    a copy of a session shared what was nested in its settings
        SessionPolicyTests.regressionACopyOfASessionSharesNothingWithIt
    remove of a setting removed nothing
        SessionPolicyTests.aRemovedSettingIsGoneAtTheFrontend
    a single session was one per frontend only
        ClaimTests.aBoundUserIsRefusedEverywhere
    "getByUid of undefined" for a backend in the place of a frontend
        BackendSessionTests.regressionAServerWithoutTheSessionIsAClearError
        ChannelServiceTests.regressionAPushToUsersAtABackendEndsAndNamesThem
    a refused connection was never given back, so that in the end nobody could connect
        SessionTests.regression10RefusedConnectionsAreNotCounted
    connections were counted only where there was a limit
        ConnectionStatisticsTests.tellsWhoIsConnectedSinceWhenFromWhere
    a user with two sessions was off the list when one closed
        ConnectionStatisticsTests.regressionAUserWithTwoSessionsStaysListedWhenOneCloses
    a member that was added twice got everything twice
        ChannelTests.regressionAddingTwiceIsOneMembership
    a leave at the wrong server took the record of a member that stayed
        ChannelTests.regressionLeavingElsewhereChangesNothing
    members stayed when their sessions ended
        AutomaticLeaveTests.aMemberAtAnotherFrontendLeavesWithItsLastSession
        AutomaticLeaveTests.theMembersOfAFrontendGoWithIt
    a push to a destroyed channel never called back
        ChannelServiceTests.regression12ADestroyedChannelThrows
    a channel that the service destroyed could still be used
        ChannelTests.aDestroyedChannelDoesNotEndItsSuccessor
    a push to a dead frontend never ended, and its users were not named
        ChannelServiceTests.aFrozenFrontendIsReportedAtTwoSecondsAndTheOthersAreReachedAtOnce
        ChannelTests.theReportNamesTheUsersOfSilentFrontends
    what had waited long enough was called back a second time when the late ones answered
        ChannelServiceTests.aFrozenFrontendIsReportedAtTwoSecondsAndTheOthersAreReachedAtOnce
    a broadcast to bound sessions gave each of a user's k sessions k copies
        BroadcastTests.regressionEachSessionOfAUserGetsOneCopy
    a stop waited for ever on a buffer of pushes
        PushSchedulerTests.regressionAStopSendsWhatIsKeptWithoutWaiting
    all members of a store came back into its last channel, and their number was lost
        LocalChannelStoreTests.regressionMembersComeBackIntoTheirOwnChannels
    a user id was cut at its first colon
        LocalChannelStoreTests.regressionNamesWithColonsSurvive
    a store without a prefix had keys of "undefined"
        LocalChannelStoreTests.theKeysArePomelos
    a store without an index, or that could not be read, crashed
        LocalChannelStoreTests.theKeysArePomelos
        LocalChannelStoreTests.aStoreThatCannotBeReadFailsTheStart
    what had changed nothing was written to the store
        LocalChannelStoreTests.regressionWhatChangesNothingIsNotWritten
    a transaction told its caller nothing, and errors of other kinds were logged as undefined
        TransactionTests.theErrorSaysEverything
        TransactionTests.stepsAndFailuresAreLogged
    a transaction hung with a step that never called back
        TransactionTests.aStepThatNeverReturnsFailsAndIsUndone
    a wrong cron text ended the process, an impossible date ran once at once, and there was no */n
        CronTests.aWrongTextIsAnErrorThatSaysWhy
        CronTests.theNextTimeIsFound
    a cron whose job nobody had written crashed the server
        CronTests.aWrongFileStopsTheStart
    an added cron whose id was there ran twice, one with a text for its id stayed, and one removed could not return
        CronTests.anIdIsUniqueAndAnActionServed
        CronTests.jobsRunAtTheirTimesUntilTheyAreRemovedOrTheServerStops
    a time more than 24.8 days away made a busy loop
        CronTests.aTimeFarAwayIsReachedInItsTime
    clocks that changed were left to chance
        CronClockTests.clocksThatChange
    runs of a simple trigger that were missed came back to back
        CronClockTests.simpleCronsKeepToTheirStart
    a global channel's store that failed counted as success
        PublishingTests.regression1AStoreFailureIsNeverASuccess
    members were called back once per error, or never
        MembershipTests.regression2MembersHaveOneOutcomeWhoeverFails
    a store without a start made every call fail
        PublishingTests.regression3AStoreNeedsNoStart
    an error of a store's start was swallowed, and the store cleaned all the same
        PublishingTests.regression4AFailedStartIsToldAsItIs
    a start hung in silence while Redis could not be reached
        StartTests.anUnreachableRedis
        RealRedisTests.anUnreachableRedisEndsTheStart
    cleanOnStartUp took the members of all servers, and those under prefixes that only look alike
        StoreTests.regression5CleaningTakesNothingOfOthers
    members of a crashed frontend stayed for ever
        LostTests.regression6MembersOfACrashedFrontendEnd
    destroyChannel missed frontends that were away, and said nothing
        MembershipTests.destroyingSaysWhatRemains
    a user at two frontends was listed twice
        MembershipTests.aUserAtTwoFrontendsIsListedOnce
    every push read all members from Redis, and called the own server too
        PushTests.oneCallPerFrontendAndNoneToTheStore
    one dead frontend kept a global push from ever ending
        PushTests.aFrontendThatIsGoneIsInTheReport
        PushTests.aFrozenFrontendIsReportedAtTwoSecondsAndTheOthersAreReachedAtOnce
    a user that was unbound stayed online
        StatusTests.aUserIsOnlineWhileAnySessionIs
    users of a crashed frontend stayed online for ever
        StatusTests.aCrashedServersUsersAreOfflineWhenItsLeaseEnds
    a push to no users threw, and users who were offline were not named
        StatusTests.aPushFindsUsersWhereverTheyAre
    a lookup that failed was told several times, and the push never ended
        StatusTests.questionsFailWhileRedisIsAway
    tokens of plugins were read without their signature
        KeelTokensTests.noTokenThatWasChangedIsOne
        RoutingTests.tokensThatAreNoneAreRefused
    tokens of plugins identified nobody, for they were issued and read by two names
        RoutingTests.aTokenIsForWhoHasTheSecret
    the key of tokens was known to everybody, or came of a constant
        HealthTests.keysAreMadeOnceAndRotated
    any id got a token, with whatever secret
        RoutingTests.aTokenIsForWhoHasTheSecret
    who sent x-keel was the platform, and who sent X-Tkeel-Auth anybody
        RoutingTests.onlyThePlatformSaysWhoCalls
    without a plugin that checks callers from outside nobody passed
        RoutingTests.theGateAnswersByStatus
    a plugin that was dead stayed ACTIVE
        HealthTests.regressionADeadPluginIsNotActive
    a registration that failed left its entries with main plugins
        RegistrationTests.aRegistrationIsAllOrNothing
    a main plugin was told its own version in place of the newcomer's
        RegistrationTests.aMainPluginIsAskedInTheSpelledWay
    the last implementer of a point silently replaced the one before, and a leaving one took it along
        RegistrationTests.aPointForOneIsNotTakenFromItsImplementer
        RegistrationTests.whoLeavesTakesOnlyItsOwnAlong
    the declared version of a main plugin was never looked at
        RegistrationTests.whatDoesNotFitIsRefusedAndLeavesNothing
        RegistrationTests.anUpgradeThatNoLongerServesSuspendsABinding
    a plugin's answer other than 200 became 400 or 502 with two bodies
        KeelForwardTests.anAnswerIsHandedOnAsItIs
    a plugin that could not be reached ended the router
        KeelForwardFailureTests.aPluginThatIsNotThereIsUnreachableInTheEnd
    a sidecar's probe was answered, and then routed
        CallPathTests.pathsSayWhatIsWanted
    a plugin that others extend was removed, and unregistering one that is unknown succeeded
        RegistrationTests.unregisteringDrains
        PluginsCommandTests.pluginsAreRegisteredShownSettledAndRemoved
    """
