with calendar_month as (
    select * from marts.calendar_month
),

patient as (
    select * from marts.patient_demographics
),

episode as (
    select
        episode.condition_concept_id,
        episode.condition_name,
        episode.start_date,
        case
            when patient.death_date < coalesce(episode.end_date, date '2200-01-01')
                then greatest(patient.death_date, episode.start_date)
            else episode.end_date
        end as end_date
    from marts.condition_episodes as episode
    left join patient on episode.person_id = patient.person_id
    where episode.condition_concept_id <> 0
),

turn as (
    select
        condition_concept_id,
        condition_name,
        cast(date_trunc('month', start_date) as date) as month_start,
        1 as started,
        0 as ended_before
    from episode
    union all
    select
        condition_concept_id,
        condition_name,
        cast(date_trunc('month', end_date) + interval '1' month as date) as month_start,
        0 as started,
        1 as ended_before
    from episode
    where end_date is not null
),

turned as (
    select
        condition_concept_id,
        condition_name,
        greatest(turn.month_start, bounds.first_month) as month_start,
        sum(case when turn.month_start >= bounds.first_month then started else 0 end) as started_count,
        sum(started - ended_before) as change
    from turn
    cross join (select min(month_start) as first_month from calendar_month) as bounds
    group by condition_concept_id, condition_name, greatest(turn.month_start, bounds.first_month)
),

condition_month as (
    select
        condition.condition_concept_id,
        condition.condition_name,
        calendar_month.month_start
    from (select distinct condition_concept_id, condition_name from episode) as condition
    cross join calendar_month
),

running as (
    select
        condition_month.condition_concept_id,
        condition_month.condition_name,
        condition_month.month_start,
        coalesce(turned.started_count, 0) as started_count,
        sum(coalesce(turned.change, 0)) over (
            partition by condition_month.condition_concept_id
            order by condition_month.month_start
            rows between unbounded preceding and current row
        ) as active_patient_count
    from condition_month
    left join turned
        on condition_month.condition_concept_id = turned.condition_concept_id
        and condition_month.month_start = turned.month_start
),

final as (
    select
        month_start,
        condition_concept_id,
        condition_name,
        cast(active_patient_count as bigint) as active_patient_count,
        cast(started_count as bigint) as started_count
    from running
    where active_patient_count > 0
)

select * from final
