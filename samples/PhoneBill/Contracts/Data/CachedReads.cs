using Microsoft.EntityFrameworkCore;
using Onggi.Caching;
using Onggi.Keys;

namespace PhoneBill.Contracts;

/// <summary>How the services read what stands in the database: memory first, then Redis, then one query that fills both.</summary>
/// <remarks>The keys are generated from keyspace.json, and so are their times to live and the events that drop them.</remarks>
public sealed class CachedReads(OnggiCache cache, IDbContextFactory<PhoneBillDb> databases)
{
    public ValueTask<CacheResult<User>> UserAsync(string id, CancellationToken cancellationToken) =>
        ReadAsync(Keys.User(id), async (db, ct) => (await db.Users.FindAsync([id], ct))?.ToUser(), cancellationToken);

    public ValueTask<CacheResult<Permissions>> PermissionsAsync(string userId, CancellationToken cancellationToken) =>
        ReadAsync(
            Keys.Permissions(userId),
            async (db, ct) =>
            {
                if (!await db.Users.AnyAsync(user => user.Id == userId, ct))
                    return null;
                var granted = db.Permissions.Where(permission => permission.UserId == userId).Select(permission => permission.Name);
                return new Permissions(userId, await granted.Order().ToListAsync(ct));
            },
            cancellationToken
        );

    public ValueTask<CacheResult<Customer>> CustomerAsync(string lineNumber, CancellationToken cancellationToken) =>
        ReadAsync(
            Keys.Customer(lineNumber),
            async (db, ct) => (await db.Lines.FindAsync([lineNumber], ct))?.ToCustomer(),
            cancellationToken
        );

    public ValueTask<CacheResult<LineStatus>> LineStatusAsync(string lineNumber, CancellationToken cancellationToken) =>
        ReadAsync(
            Keys.LineStatus(lineNumber),
            async (db, ct) => (await db.Lines.FindAsync([lineNumber], ct))?.ToStatus(),
            cancellationToken
        );

    /// <summary>Puts a line's status anew after it was changed: readers have the old one until then, and never none.</summary>
    public ValueTask<LineStatus?> RefreshLineStatusAsync(string lineNumber, CancellationToken cancellationToken) =>
        cache.RefreshAsync(
            Keys.LineStatus(lineNumber),
            async load =>
            {
                await using var db = await databases.CreateDbContextAsync(load.CancellationToken);
                return (await db.Lines.FindAsync([lineNumber], load.CancellationToken))?.ToStatus();
            },
            cancellationToken
        );

    public ValueTask<CacheResult<Product>> ProductAsync(string code, CancellationToken cancellationToken) =>
        ReadAsync(Keys.Product(code), async (db, ct) => (await db.Products.FindAsync([code], ct))?.ToProduct(), cancellationToken);

    public ValueTask<CacheResult<AvailableProducts>> AvailableProductsAsync(string customerType, CancellationToken cancellationToken) =>
        ReadAsync(Keys.AvailableProducts(customerType), async (db, ct) => await AvailableAsync(db, customerType, ct), cancellationToken);

    public ValueTask<CacheResult<CommonCodes>> CodesAsync(string group, CancellationToken cancellationToken) =>
        ReadAsync(
            Keys.Codes(group),
            async (db, ct) =>
            {
                var names = await db.Codes.Where(code => code.Group == group).ToDictionaryAsync(code => code.Code, code => code.Name, ct);
                return names.Count == 0 ? null : new CommonCodes(group, names);
            },
            cancellationToken
        );

    public ValueTask<CacheResult<SystemConfig>> ConfigAsync(string system, CancellationToken cancellationToken) =>
        ReadAsync(
            Keys.Config(system),
            async (db, ct) =>
            {
                var values = await db.Settings.Where(row => row.System == system).ToDictionaryAsync(row => row.Name, row => row.Value, ct);
                return values.Count == 0 ? null : new SystemConfig(system, values);
            },
            cancellationToken
        );

    /// <summary>What a type of customer may change to, asked of the database.</summary>
    public static async Task<AvailableProducts> AvailableAsync(PhoneBillDb db, string customerType, CancellationToken cancellationToken)
    {
        var all = await db.Products.OrderByDescending(product => product.MonthlyFee).ToListAsync(cancellationToken);
        var fitting = all.Select(row => row.ToProduct()).Where(product => product.CustomerTypes.Contains(customerType));
        return new AvailableProducts(customerType, [.. fitting]);
    }

    public ValueTask<CacheResult<T>> ReadAsync<T>(
        CacheKey<T> key,
        Func<PhoneBillDb, CancellationToken, Task<T?>> query,
        CancellationToken cancellationToken
    )
        where T : class =>
        cache.GetOrLoadResultAsync(
            key,
            (databases, query),
            static async (state, load) =>
            {
                await using var db = await state.databases.CreateDbContextAsync(load.CancellationToken);
                return await state.query(db, load.CancellationToken);
            },
            cancellationToken
        );
}
