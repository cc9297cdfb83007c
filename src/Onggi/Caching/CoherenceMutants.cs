namespace Onggi.Caching;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands, beside a comment that begins with <c>mutant:</c>.</remarks>
internal static class CoherenceMutants
{
    /// <summary>Memory looks for the entry before it looks for the proof. Only where <see cref="Interleave.IsOn"/>: a hit has no time to ask.</summary>
    public static bool EntryFirst;

    /// <summary>A hit takes what it read of an entry although that was being changed. Only where <see cref="Interleave.IsOn"/>, too.</summary>
    public static bool TornSlot;

    /// <summary>A hit goes on finding what was dropped.</summary>
    public static bool SlotStays;

    /// <summary>Memory serves without a proof that nothing was missed.</summary>
    public static bool NoProof;

    /// <summary>A proof is dated by the arrival of the answer, not by the question.</summary>
    public static bool ProofReceived;

    /// <summary>A value is stored although the right to store it is gone.</summary>
    public static bool NoLease;

    /// <summary>A lease is lengthened although somebody has written the entry since it was given.</summary>
    public static bool RenewBlind;

    /// <summary>An invalidation leaves the lease where it is.</summary>
    public static bool LeaseStays;

    /// <summary>All leases of a node have the same token.</summary>
    public static bool TokenReuse;

    /// <summary>Memory is filled by who asked, after the reply was read, not on the reading loop.</summary>
    public static bool LateInsert;

    /// <summary>Any running load is joined, however long ago it was known to be good.</summary>
    public static bool JoinAny;

    /// <summary>A strict invalidation returns at the acknowledgement.</summary>
    public static bool NoWait;

    /// <summary>Values from before a failover are believed.</summary>
    public static bool FailoverValue;

    /// <summary>Leases from before a failover still fill.</summary>
    public static bool FailoverLease;

    /// <summary>A fill that is handed over while its connection ends goes out on the next one.</summary>
    public static bool FillAnywhere;

    /// <summary>Tracking is asked for with NOLOOP.</summary>
    public static bool NoLoop
    {
        get => Client.Routing.TrackedLink.NoLoop;
        set => Client.Routing.TrackedLink.NoLoop = value;
    }

    /// <summary>A new connection neither empties memory nor makes what came over the old one worthless.</summary>
    public static bool NoFlush;
}
