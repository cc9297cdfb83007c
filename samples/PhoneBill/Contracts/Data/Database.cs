using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace PhoneBill.Contracts;

/// <summary>Which database the services use, and how it comes into being.</summary>
public static class Database
{
    // Any number: the lock that PostgreSQL keeps while one of the services makes the tables.
    private const long SeedLock = 80_818_284;

    /// <summary>Registers a factory of <see cref="PhoneBillDb"/>: SQLite by default, PostgreSQL when <c>ConnectionStrings:Database</c> names a host.</summary>
    /// <remarks>A factory, because the loader of a cache entry can outlive the request that began it, and with it the request's scoped services.</remarks>
    public static void AddPhoneBillDatabase(this IServiceCollection services, IConfiguration configuration)
    {
        var connection = configuration.GetConnectionString("Database") ?? "Data Source=phonebill.db";
        services.AddPooledDbContextFactory<PhoneBillDb>(options =>
        {
            if (IsPostgres(connection))
                options.UseNpgsql(connection);
            else
                options.UseSqlite(connection);
        });
    }

    /// <summary>Makes the tables and the seed data, once, whichever service comes first.</summary>
    public static async Task EnsureSeededAsync(this IDbContextFactory<PhoneBillDb> factory, CancellationToken cancellationToken)
    {
        await using var db = await factory.CreateDbContextAsync(cancellationToken);
        if (db.Database.IsSqlite())
            await db.Database.ExecuteSqlRawAsync("PRAGMA journal_mode=WAL", cancellationToken);

        // SQLite lets one such transaction in at a time; PostgreSQL needs to be told.
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (db.Database.IsNpgsql())
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock({SeedLock})", cancellationToken);
        if (await db.GetService<IRelationalDatabaseCreator>().HasTablesAsync(cancellationToken))
            return;

        await db.Database.ExecuteSqlRawAsync(db.Database.GenerateCreateScript(), cancellationToken);
        db.AddRange([.. Seed.Products(), .. Seed.Lines(), .. Seed.Users(), .. Seed.Permissions(), .. Seed.Codes(), .. Seed.Settings()]);
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    private static bool IsPostgres(string connection) => connection.Contains("Host=", StringComparison.OrdinalIgnoreCase);
}
