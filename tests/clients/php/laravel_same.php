#!/usr/bin/env php
<?php

// Laravel's query builder (illuminate/database) over PDO, whose statements are prepared by the server: the story of
// ../python/story.py, directly on a plain table and through the proxy on the protected one. Every step must give the same, in
// values and types, or be one that MAY_BE_REFUSED lists. The plain tables are made by Laravel's schema builder in
// CANDADO_DATABASE with `_plain` added to its name; with --plain both sides are direct, the second in a database with
// `_second` added. Exit code 1 on any difference.

declare(strict_types=1);
// The packaged version is older than this PHP.
error_reporting(E_ALL & ~E_DEPRECATED);
require_once 'Illuminate/Database/autoload.php';

use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Connection;
use Illuminate\Database\Query\Builder;
use Illuminate\Database\QueryException;
use Illuminate\Database\Schema\Blueprint;

const FIELDS = ['id', 'name', 'phone', 'address', 'note'];
const ROWS = [
    [1, 'Ana', '+34 600 000 001', 'Calle Mayor 1', 'first'],
    [2, 'Émile', '+33 1 23 45 67 89', "12 rue de l'Église", ''],
    [3, '花子', '+81 90 1234 5678', '東京都千代田区 😀', null],
    [4, 'Nobody', null, null, null],
    [5, 'Empty', '', '', ''],
];
// Ana's number as people in Spain write it.
const ANOTHER_NOTATION = '600-000-001';
// Not supported for a protected column.
const CODES = [1235];
// Wildcards, order, and functions over a value need what a blind index cannot tell.
const MAY_BE_REFUSED = [
    'like', 'starts with', 'between', 'greater', 'row values', 'ordered by phone', 'upper case', 'largest',
    'distinct phones', 'phones with counts', 'delete with a join', 'update with a join',
];

function setting(string $name, ?string $fallback = null): string
{
    $value = getenv($name);
    if ($value !== false) {
        return $value;
    }
    return $fallback ?? throw new RuntimeException("$name is not set");
}

/** The steps of one run. */
final class Steps
{
    /** @var array<int, array{string, ?int, string}> */
    public array $taken = [];

    public function __construct(public readonly bool $protected)
    {
    }

    /** Takes a step and keeps what it gives, or the code of the error that it ends with. */
    public function take(string $name, callable $step): void
    {
        try {
            $this->taken[] = [$name, null, var_export($step(), true)];
        } catch (QueryException $error) {
            $code = $error->errorInfo[1] ?? throw $error;
            $this->taken[] = [$name, $code, "error $code"];
        }
    }
}

function connect(string $side, string $database): Connection
{
    $ca = getenv('CANDADO_CA');
    $manager = new Manager();
    $manager->addConnection([
        'driver' => 'mysql', 'host' => setting("CANDADO_{$side}_HOST", '127.0.0.1'), 'port' => setting("CANDADO_{$side}_PORT"),
        'database' => $database, 'username' => setting('CANDADO_USER'), 'password' => setting('CANDADO_PASSWORD', ''),
        'charset' => 'utf8mb4', 'collation' => 'utf8mb4_unicode_ci', 'strict' => true,
        'options' => $ca ? [PDO::MYSQL_ATTR_SSL_CA => $ca] : [],
    ]);
    return $manager->getConnection();
}

function makeTables(Connection $db, bool $protected): void
{
    $schema = $db->getSchemaBuilder();
    $schema->dropIfExists('laravel_visits');
    $schema->create('laravel_visits', function (Blueprint $table): void {
        $table->increments('id');
        $table->integer('customer_id');
        $table->string('remark', 100);
    });
    if ($protected) {
        $db->table('customers')->delete();
        return;
    }
    $schema->dropIfExists('customers');
    $schema->create('customers', function (Blueprint $table): void {
        $table->integer('id')->primary();
        $table->string('name', 100)->nullable();
        $table->string('phone', 40)->nullable()->index();
        $table->string('address')->nullable();
        $table->text('note')->nullable();
    });
}

/** Rows as arrays: only objects of one process are equal. */
function listed(Builder $query): array
{
    return $query->orderBy('id')->get()->map(fn (object $row): array => (array) $row)->all();
}

function story(Connection $db, Steps $steps): void
{
    $customers = fn (): Builder => $db->table('customers');
    $visits = fn (): Builder => $db->table('laravel_visits');
    $rows = array_map(fn (array $row): array => array_combine(FIELDS, $row), ROWS);
    $phones = array_column($rows, 'phone');
    $take = [$steps, 'take'];

    // Writing.
    $take('insert', fn () => $customers()->insert($rows[0]));
    $take('insert several', fn () => $customers()->insert(array_slice($rows, 1)));
    $take('visits', fn () => $visits()->insert(array_map(
        fn (int $key): array => ['customer_id' => $key, 'remark' => "visit $key"], [1, 1, 3, 4])));
    $take('all', fn () => listed($customers()));

    // Searching.
    $take('where', fn () => listed($customers()->where('phone', $phones[0])));
    $take('another notation', fn () => $customers()->where('phone', $steps->protected ? ANOTHER_NOTATION : $phones[0])->value('id'));
    $take('first', fn () => (array) $customers()->where('phone', $phones[2])->first());
    $take('find', fn () => (array) $customers()->find(3));
    $take('whereIn', fn () => listed($customers()->whereIn('phone', [$phones[0], $phones[2]])));
    $take('whereNotIn', fn () => listed($customers()->whereNotIn('phone', [$phones[0], ''])));
    $take('not equal', fn () => listed($customers()->where('phone', '<>', $phones[0])));
    $take('whereNull', fn () => listed($customers()->whereNull('phone')));
    $take('whereNotNull', fn () => listed($customers()->whereNotNull('phone')));
    $take('empty', fn () => listed($customers()->where('phone', '')));
    $take('orWhere', fn () => listed($customers()->where('phone', $phones[0])->orWhere('name', 'Nobody')));
    $take('nested', fn () => listed($customers()->where('id', '<', 5)->where(
        fn (Builder $query) => $query->where('phone', $phones[0])->orWhere('phone', $phones[2]))));
    $take('count', fn () => $customers()->where('phone', $phones[0])->count());
    $take('count of phones', fn () => $customers()->count('phone'));
    $take('exists', fn () => $customers()->where('phone', $phones[0])->exists());
    $take('pluck', fn () => $customers()->orderBy('id')->pluck('phone', 'id')->all());
    $take('value', fn () => $customers()->where('phone', $phones[2])->value('address'));
    $take('paginated', fn () => listed($customers()->forPage(2, 2)));
    $take('chunk', function () use ($customers): array {
        $found = [];
        $customers()->orderBy('id')->chunk(2, function ($chunk) use (&$found): void {
            $found = [...$found, ...$chunk->pluck('phone')->all()];
        });
        return $found;
    });
    $take('cursor', fn () => $customers()->orderBy('id')->cursor()->map(fn (object $row) => $row->note)->all());
    $take('for update', fn () => $db->transaction(fn () => listed($customers()->where('phone', $phones[0])->lockForUpdate())));
    $take('shared lock', fn () => $db->transaction(fn () => listed($customers()->where('phone', $phones[0])->sharedLock())));
    $take('union all', fn () => $customers()->select('id', 'phone')->where('id', 1)->unionAll(
        $customers()->select('id', 'phone')->where('id', 3))->get()->map(fn (object $row): array => (array) $row)->sortBy('id')->values()->all());

    // Joins.
    $take('join', fn () => $visits()->join('customers', 'customers.id', '=', 'laravel_visits.customer_id')
        ->where('customers.phone', $phones[0])->orderBy('laravel_visits.id')->get(['remark', 'customers.phone as tel'])
        ->map(fn (object $row): array => (array) $row)->all());
    $take('whereExists', fn () => $visits()->whereExists(fn (Builder $query) => $query->selectRaw('1')->from('customers')
        ->whereColumn('customers.id', 'laravel_visits.customer_id')->where('customers.phone', $phones[2]))->pluck('remark')->all());
    $take('sub-query', fn () => $visits()->whereIn('customer_id', $customers()->where('phone', $phones[2])->select('id'))->pluck('remark')->all());
    $take('scalar sub-query', fn () => $visits()->select('remark')->selectSub(
        $customers()->whereColumn('customers.id', 'laravel_visits.customer_id')->select('phone'), 'tel')->orderBy('laravel_visits.id')
        ->get()->map(fn (object $row): array => (array) $row)->all());
    $take('from a sub-query', fn () => $db->query()->fromSub($customers()->where('phone', $phones[0]), 'c')->pluck('phone')->all());

    // What cannot be told of encrypted values.
    $take('like', fn () => listed($customers()->where('phone', 'like', $phones[0])));
    $take('starts with', fn () => listed($customers()->where('phone', 'like', '+34%')));
    $take('between', fn () => listed($customers()->whereBetween('phone', ['+30', '+35'])));
    $take('greater', fn () => listed($customers()->where('phone', '>', '+34')));
    $take('row values', fn () => listed($customers()->whereRowValues(['phone', 'address'], '=', [$phones[0], 'Calle Mayor 1'])));
    $take('ordered by phone', fn () => $customers()->where('id', '<=', 3)->orderBy('phone')->pluck('id')->all());
    $take('upper case', fn () => $customers()->selectRaw('UPPER(address) AS u')->orderBy('id')->pluck('u')->all());
    $take('largest', fn () => $customers()->where('id', '<=', 3)->max('phone'));
    $take('distinct phones', fn () => $customers()->where('id', '<=', 3)->distinct()->pluck('phone')->sort()->values()->all());
    $take('phones with counts', fn () => $customers()->where('id', '<=', 3)->selectRaw('phone, COUNT(*) AS n')->groupBy('phone')
        ->get()->map(fn (object $row): array => (array) $row)->sortBy('phone')->values()->all());

    // Changing.
    $take('update', fn () => $customers()->where('phone', $phones[0])->update(['phone' => '+34 699 999 999', 'address' => null]));
    $take('after update', fn () => listed($customers()->where('phone', '+34 699 999 999')));
    $take('updateOrInsert', fn () => [
        $customers()->updateOrInsert(['phone' => '+34 699 999 999'], ['note' => 'moved']),
        $customers()->updateOrInsert(['phone' => '+44 20 7946 0000'], ['id' => 6, 'name' => 'London'])]);
    $take('upsert', fn () => $customers()->upsert([
        ['id' => 6, 'name' => 'again', 'phone' => '+44 20 7946 0003', 'note' => '😀'],
        ['id' => 7, 'name' => 'seven', 'phone' => '+44 20 7946 0004', 'note' => ''],
    ], ['id'], ['name', 'phone', 'note']));
    $take('insertOrIgnore', fn () => $customers()->insertOrIgnore([['id' => 7, 'phone' => 'not'], ['id' => 8, 'phone' => '']]));
    $take('after the upserts', fn () => listed($customers()->where('id', '>=', 6)));
    $tentatively = function (callable $step) use ($db) {
        $db->beginTransaction();
        try {
            return $step();
        } finally {
            $db->rollBack();
        }
    };
    $take('rolled back', fn () => $tentatively(fn () => [
        $customers()->insert(['id' => 20, 'phone' => '+34 622 000 000']), $customers()->where('phone', '+34 622 000 000')->count()]));
    $take('after the rollback', fn () => [$customers()->where('phone', '+34 622 000 000')->count(), $customers()->count()]);
    $take('update with a join', fn () => $tentatively(fn () => $visits()->join('customers', 'customers.id', '=', 'laravel_visits.customer_id')
        ->where('customers.phone', $phones[2])->update(['remark' => 'changed'])));
    $take('delete with a join', fn () => $tentatively(fn () => $visits()->join('customers', 'customers.id', '=', 'laravel_visits.customer_id')
        ->where('customers.phone', $phones[2])->delete()));

    // Deleting.
    $take('delete', fn () => $customers()->whereIn('phone', ['+34 699 999 999', '+44 20 7946 0003'])->delete());
    $take('what is left', fn () => listed($customers()));
}

/** Prints what differs between the direct run and the one through the proxy; gives its number. */
function compare(array $expected, array $found): int
{
    $refused = $different = [];
    foreach ($expected as $at => [$name, $code, $shown]) {
        [, $afterCode, $afterShown] = $found[$at];
        if (in_array($name, MAY_BE_REFUSED, true) && in_array($afterCode, CODES, true) && $code === null) {
            $refused[] = $name;
        } elseif ($shown !== $afterShown || $code !== null) {
            // A step that fails without the product, too, says nothing.
            $different[] = "  $name\n    direct: $shown\n    proxy:  $afterShown";
        }
    }
    $unknown = array_diff(MAY_BE_REFUSED, array_column($expected, 0));
    if ($unknown) {
        throw new RuntimeException('no such steps: ' . implode(', ', $unknown));
    }
    printf("Laravel: %d steps, %d refused, %d different\n", count($expected), count($refused), count($different));
    if ($refused) {
        echo '  refused: ', implode(', ', $refused), "\n";
    }
    echo implode("\n", $different), $different ? "\n" : '';
    return count($different);
}

/** An empty database that the application's account may use. */
function makeDatabase(string $name): void
{
    $place = sprintf('mysql:host=%s;port=%s', setting('CANDADO_DIRECT_HOST', '127.0.0.1'), setting('CANDADO_DIRECT_PORT'));
    $direct = new PDO($place, setting('CANDADO_DIRECT_USER', 'root'), setting('CANDADO_DIRECT_PASSWORD', ''), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $direct->exec("CREATE DATABASE IF NOT EXISTS `$name` CHARACTER SET utf8mb4");
    $user = $direct->quote(setting('CANDADO_USER'));
    foreach ($direct->query("SELECT Host FROM mysql.user WHERE User = $user")->fetchAll(PDO::FETCH_COLUMN) as $host) {
        $direct->exec("GRANT ALL ON `$name`.* TO $user@" . $direct->quote($host));
    }
}

$plain = in_array('--plain', $argv, true);
$database = setting('CANDADO_DATABASE');
$sides = [['DIRECT', "{$database}_plain", false], $plain ? ['DIRECT', "{$database}_second", false] : ['PROXY', $database, true]];
$runs = [];
foreach ($sides as [$side, $name, $protected]) {
    if (!$protected) {
        makeDatabase($name);
    }
    $steps = new Steps($protected);
    $db = connect($side, $name);
    makeTables($db, $protected);
    story($db, $steps);
    $db->disconnect();
    $runs[] = $steps->taken;
}
exit(compare($runs[0], $runs[1]) ? 1 : 0);
