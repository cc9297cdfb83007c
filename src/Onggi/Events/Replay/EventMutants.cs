namespace Onggi.Events.Replay;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands, beside a comment that begins with <c>mutant:</c>.</remarks>
internal static class EventMutants
{
    /// <summary>What was heard is handed over again when it arrives a second time.</summary>
    public static bool RepeatsHandedOver;

    /// <summary>What arrives is handed over whether it follows or not.</summary>
    public static bool HolesIgnored;

    /// <summary>What the ring no longer has is passed over in silence.</summary>
    public static bool GapsUntold;

    /// <summary>Another epoch is taken for the same count.</summary>
    public static bool EpochIgnored;

    /// <summary>Numbers alone count: that a failover gave some twice is not noticed.</summary>
    public static bool HistoryTrusted;

    /// <summary>What arrived before Redis was asked is judged like what arrived after.</summary>
    public static bool OldArrivalsTrusted;

    /// <summary>A position that was kept is not looked at: the subscription begins now.</summary>
    public static bool PositionIgnored;

    /// <summary>After a lost link Redis is not asked.</summary>
    public static bool InterruptionsIgnored;

    /// <summary>What was pushed out of a full queue is noticed only when the next event of its type comes.</summary>
    public static bool OverflowForgotten;
}
