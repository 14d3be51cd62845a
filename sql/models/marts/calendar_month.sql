with digit as (
    select n from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as v (n)
),

month_of_year as (
    select n from (values (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) as v (n)
),

observed as (
    select
        min(observation_period_start_date) as first_date,
        max(observation_period_end_date) as last_date
    from staging.stg_omop__observation_period
),

month_number as (
    select
        1850 + hundreds.n * 100 + tens.n * 10 + ones.n as calendar_year,
        month_of_year.n as month_of_year
    from digit as hundreds
    cross join digit as tens
    cross join digit as ones
    cross join month_of_year
    where hundreds.n <= 2
),

dated as (
    select
        cast(calendar_year as integer) as calendar_year,
        cast(month_of_year as integer) as month_of_year,
        cast(concat(
            cast(calendar_year as varchar), '-', lpad(cast(month_of_year as varchar), 2, '0'), '-01'
        ) as date) as month_start
    from month_number
),

final as (
    select
        dated.month_start,
        cast(dated.month_start + interval '1' month - interval '1' day as date) as month_end,
        dated.calendar_year,
        dated.month_of_year
    from dated
    inner join observed
        on dated.month_start <= observed.last_date
        and dated.month_start >= cast(date_trunc('month', observed.first_date) as date)
)

select * from final
